"""The validity codes: what each says, how much is allowed, and whether it is fatal."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One validity code."""

    fatal: bool
    """The point is kept and shown, and left out of comparisons."""
    says: str
    limit: str
    """How much is allowed."""
    why: str
    """Why it is fatal, or why it is not."""


CACHE_SLACK = 8
"""Tokens: a beginning-of-text token and the start of a nonce may coincide with those of another request."""
LONGEST_TEMPLATE = 64
"""Tokens that the fixed beginning of a template may have where the plan does not say."""
EARLY_SHARE = 0.02
TOKEN_SHARE = 0.01
DELIVERED_SHARE = 0.99
LITTLE_SHARE = 0.10
TTFT_SHARE, TTFT_NS = 0.20, 5e6

CODES = {
    "CLIENT_LAG": Code(
        True,
        "the client read its bytes late",
        "`limits.client_lag_ms` of the study, at the highest percentile that the point may show",
        "the load generator was the bottleneck",
    ),
    "LOAD_NOT_DELIVERED": Code(
        True,
        "requests were not sent as scheduled",
        f"every request of the schedule; `limits.send_lag_ms`, judged like CLIENT_LAG; open loop: {DELIVERED_SHARE:.0%} of the rate",
        "another load was measured than asked for",
    ),
    "CACHE_HIT": Code(
        True,
        "a prefix cache supplied prompt tokens",
        f"{CACHE_SLACK} tokens beyond the chat template's fixed beginning, unless the workload measures the cache",
        "another question was measured: TTFT is far too good",
    ),
    "TOKEN_MISMATCH": Code(
        True,
        "usage and the server's counter disagree, or the same prompt took other numbers of tokens with most deployments",
        f"{TOKEN_SHARE:.0%} and one token a request, where every request was answered; across deployments none",
        "every token rate rests on usage, and another question was asked where the prompt differs",
    ),
    "ERRORS_OVER_LIMIT": Code(
        True,
        "too many requests failed",
        "`limits.error_share` of the study",
        "the rest is a selection, and failing is fast",
    ),
    "SERVER_RESTARTED": Code(
        True, "the server is not the one that was started", "told by the measuring job", "the point spans two lives"
    ),
    "CLOCK_STEP": Code(
        True,
        "the clock was stepped while measuring",
        "told by the measuring job",
        "the kernel stamps arrivals on the clock that was stepped",
    ),
    "THROTTLED": Code(
        True,
        "heat, power supply or a quota held the machine back",
        "told by the measuring job",
        "another machine was measured than named",
    ),
    "NOT_STEADY": Code(
        False,
        "throughput drifted within the point",
        "`limits.drift` of the study and three standard errors",
        "one life alone is noisy; lives are judged together",
    ),
    "EARLY_STOP": Code(
        False,
        "answers ended before the tokens asked for",
        f"{EARLY_SHARE:.0%} of the answers",
        "rates per token stay true; E2E is not comparable",
    ),
    "LITTLES_LAW": Code(
        False,
        "in flight, rate and latency disagree",
        f"{LITTLE_SHARE:.0%}, and what the edges of a window after a ramp may hold",
        "it shows that something is wrong, not which of them",
    ),
    "TTFT_MISMATCH": Code(
        False,
        "the server's own mean TTFT differs from the client's",
        f"{TTFT_SHARE:.0%} and {TTFT_NS / 1e6:g} ms",
        "the server's metric is no truth either",
    ),
    "NOISY_HOST": Code(
        False,
        "something else used the machine",
        "told by the measuring job",
        "pairing in blocks cancels what both sides of a pair felt",
    ),
}
"""The one table of what is fatal. SERVER_RESTARTED, CLOCK_STEP, THROTTLED and NOISY_HOST come from the measuring job."""
