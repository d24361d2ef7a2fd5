"""Validity codes: why a point should not be believed, or be read with care, with the numbers that say so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from serving_study.metrics.codes import (
    CACHE_SLACK,
    CODES,
    DELIVERED_SHARE,
    EARLY_SHARE,
    LITTLE_SHARE,
    LONGEST_TEMPLATE,
    TOKEN_SHARE,
    TTFT_NS,
    TTFT_SHARE,
)
from serving_study.metrics.point import Column, Point
from serving_study.metrics.quantiles import LEAST, mean, quantile
from serving_study.metrics.steadiness import drift, drift_error, in_flight_mean, littles_law, stands_out


def judge(point: Point, job: dict[str, str]) -> dict[str, str]:
    """Codes of a point and their reasons, those that the measuring job recorded included, in the order of ``CODES``."""
    found = dict(job)
    for check in _CHECKS:
        found.update(check(point))
    return {code: found[code] for code in sorted(found, key=_rank)}


def fatal(codes: dict[str, str]) -> bool:
    """One of the codes is fatal; an unknown one is."""
    return any(code not in CODES or CODES[code].fatal for code in codes)


def _rank(code: str) -> tuple[int, str]:
    return (list(CODES).index(code) if code in CODES else len(CODES)), code


Found = Iterator[tuple[str, str]]


def _lag(values: Column) -> tuple[str, float]:
    """The highest percentile that so many requests may show (their mean when they may show none), in ms."""
    allowed = [p for p, least in LEAST.items() if len(values) >= least]
    if not allowed:
        return "mean", mean(values) / 1e6
    return f"p{allowed[-1]}", quantile(values, allowed[-1]) / 1e6


def _client_lag(point: Point) -> Found:
    values, limit = point.measured("client_lag"), point.judging.limits.client_lag_ms
    if len(values):
        name, lag = _lag(values)
        if lag > limit:
            yield "CLIENT_LAG", f"bytes waited {lag:.3f} ms for the client ({name}); the limit is {limit:g} ms"


def _load(point: Point) -> Found:
    asked = point.window.asked
    if point.recorded < asked:
        yield "LOAD_NOT_DELIVERED", f"{point.recorded} of {asked} requests of the schedule were sent and recorded"
        return
    values, limit = point.measured("send_lag"), point.judging.limits.send_lag_ms
    if len(values):
        name, lag = _lag(values)
        if lag > limit:
            yield "LOAD_NOT_DELIVERED", f"requests left {lag:.3f} ms late ({name}); the limit is {limit:g} ms"
            return
    if point.window.rate is not None:
        yield from _rate(point)


def _rate(point: Point) -> Found:
    """Open loop: the span of the sends against the span that was intended."""
    times = point.table.filter(point.table["measured"]).select(["intended_ns", "sent_ns"]).drop_null()
    if times.num_rows < 2:
        return
    intended, sent = (times[name].to_numpy() for name in times.column_names)
    wanted, got = int(intended.max() - intended.min()), int(sent.max() - sent.min())
    if wanted > 0 and got > wanted / DELIVERED_SHARE:
        n = times.num_rows - 1
        yield "LOAD_NOT_DELIVERED", f"{n / got * 1e9:.4g} requests/s were sent, {n / wanted * 1e9:.4g} were scheduled"


def _cache(point: Point) -> Found:
    """A template that the plan does not know is taken to be what all requests had in common."""
    if point.spec is not None and point.spec.measure_cache:
        return
    values = point.measured("cached_tokens")
    if not len(values):
        return
    shared = min(int(values.min()), LONGEST_TEMPLATE) if point.template_tokens is None else point.template_tokens
    if int(values.max()) > shared + CACHE_SLACK:
        yield "CACHE_HIT", f"up to {values.max()} prompt tokens came from a cache; {shared} belong to the template"


def _tokens(point: Point) -> Found:
    """The sum of usage against the server's counter; a token a request is forgiven, since engines count the first apart."""
    if not point.alone or len(point.answered("chunks")) < point.table.num_rows:
        return
    counted, values = _counter(point, "generated_tokens"), point.flowing("output_tokens")[0]
    if counted is None or len(values) < point.table.num_rows:
        return
    usage = int(values.sum())
    if abs(counted - usage) > TOKEN_SHARE * max(counted, usage) + len(values):
        yield "TOKEN_MISMATCH", f"usage adds up to {usage} output tokens, the server's counter to {counted:.0f}"


def _counter(point: Point, name: str) -> float | None:
    """How much a counter of this point's servers grew over the window; None unless all of them have it."""
    before, after = point.window.counters_before, point.window.counters_after
    if not point.servers or any(name not in c.get(s, {}) for s in point.servers for c in (before, after)):
        return None
    return math.fsum(after[s][name] - before[s][name] for s in point.servers)


def _early(point: Point) -> Found:
    rows = point.rows("output_tokens", "max_tokens")
    short = [(got, asked) for got, asked in rows if got < asked]
    if len(short) > EARLY_SHARE * len(rows):
        least, asked = min(short)
        yield "EARLY_STOP", f"{len(short)} of {len(rows)} answers were short, the shortest {least} of {asked} tokens"


def _errors(point: Point) -> Found:
    n, limit = len(point.measured("chunks")), point.judging.limits.error_share
    failed = n - len(point.answered("chunks"))
    if failed > limit * n:
        yield "ERRORS_OVER_LIMIT", f"{failed} of {n} requests failed; the limit is {limit:.2%} of them"


def _steady(point: Point) -> Found:
    value, error, limit = drift(point).value, drift_error(point), point.judging.limits.drift
    if value is not None and error is not None and stands_out(point, value, error):
        yield (
            "NOT_STEADY",
            f"throughput drifted by {math.expm1(value):+.1%} (noise {error:.1%}); the limit is {limit:.1%}",
        )


def _little(point: Point) -> Found:
    counted, expected = in_flight_mean(point).value, littles_law(point).value
    if counted is None or expected is None or not len(point.answered("e2e")):
        return
    edge = (
        mean(point.answered("e2e")) / 1e9 / point.seconds
        if point.window.measured_from_ns > point.window.started_ns
        else 0
    )
    if abs(counted - expected) > (LITTLE_SHARE + edge) * max(counted, expected):
        yield "LITTLES_LAW", f"{counted:.3f} requests were in flight, rate times latency gives {expected:.3f}"


def _ttft(point: Point) -> Found:
    """The mean of the server's own histogram against the client's from the actual send."""
    total, count = _counter(point, "ttft_seconds_sum"), _counter(point, "ttft_seconds_count")
    values = point.flowing("ttft_sent")[0]
    if total is None or not count or not len(values) or not point.alone:
        return
    theirs, ours = total / count * 1e9, mean(values)
    if abs(theirs - ours) > TTFT_NS + TTFT_SHARE * ours:
        yield "TTFT_MISMATCH", f"the server says {theirs / 1e6:.3f} ms on average, the client saw {ours / 1e6:.3f} ms"


_CHECKS: tuple[Callable[[Point], Found], ...] = (
    _client_lag, _load, _cache, _tokens, _errors, _steady, _early, _little, _ttft,
)  # fmt: skip
