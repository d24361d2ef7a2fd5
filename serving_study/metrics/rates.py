"""How much a point delivered: tokens, characters, bytes and requests a second."""

from __future__ import annotations

import math

from serving_study.metrics.metric import Value, point_metric
from serving_study.metrics.point import Point
from serving_study.metrics.quantiles import mean, shown


@point_metric(
    "output_throughput", unit="token/s", needs=("output_tokens", "output_chars", "window_chars"), better="higher"
)
def output_throughput(point: Point) -> Value:
    """Output tokens that arrived inside the measuring window, over the window's length.

    The window runs from the first intended send plus the ramp to the last intended end. Of each answered request, its usage
    tokens are spread over its chunks by characters, and those inside the window count. n counts requests.
    None when an answered request came without usage.
    """
    columns = point.flowing("output_tokens", "output_chars", "window_chars")
    if len(columns[0]) < len(point.flowing("window_chars")[0]):
        return Value(None, len(columns[0]), "no-usage")
    rows = zip(*(c.tolist() for c in columns), strict=True)
    return _per_second(point, [tokens * inside / characters for tokens, characters, inside in rows])


@point_metric("character_throughput", unit="character/s", needs=("window_chars",), better="higher")
def character_throughput(point: Point) -> Value:
    """Characters of generated text that arrived inside the measuring window, over its length: blind to the tokeniser."""
    return _per_second(point, point.flowing("window_chars")[0].tolist())


@point_metric("byte_throughput", unit="byte/s", needs=("window_bytes",), better="higher")
def byte_throughput(point: Point) -> Value:
    """Bytes (UTF-8) of generated text that arrived inside the measuring window, over its length."""
    return _per_second(point, point.flowing("window_bytes")[0].tolist())


@point_metric("request_throughput", unit="1/s", needs=("e2e", "intended_ns"), better="higher")
def request_throughput(point: Point) -> Value:
    """Measured requests that were answered, over the window's length."""
    return _per_second(point, [1] * len(point.answered("chunks")))


@point_metric("success_rate", unit="1", needs=("error", "measured"), better="higher")
def success_rate(point: Point) -> Value:
    """Measured requests that were answered, over all measured requests."""
    n = len(point.measured("chunks"))
    return Value(len(point.answered("chunks")) / n, n) if n else Value(None, 0, "no-data")


@point_metric("output_tokens_mean", unit="token", needs=("output_tokens",))
def output_tokens_mean(point: Point) -> Value:
    """Mean of the output tokens of measured and answered requests."""
    values = point.answered("output_tokens")
    return shown(values, len(values), 1, mean)


@point_metric("prompt_tokens_mean", unit="token", needs=("prompt_tokens",))
def prompt_tokens_mean(point: Point) -> Value:
    """Mean of the prompt tokens of measured and answered requests."""
    values = point.answered("prompt_tokens")
    return shown(values, len(values), 1, mean)


@point_metric("cached_tokens_max", unit="token", needs=("cached_tokens",))
def cached_tokens_max(point: Point) -> Value:
    """Largest number of prompt tokens that a prefix cache supplied to a measured request."""
    values = point.measured("cached_tokens")
    return shown(values, len(values), 1, lambda v: float(v.max()))


@point_metric("early_stop_share", unit="1", needs=("output_tokens", "max_tokens"))
def early_stop_share(point: Point) -> Value:
    """Answered requests that got fewer output tokens than asked for, over those whose count is known."""
    rows = point.rows("output_tokens", "max_tokens")
    return Value(sum(got < asked for got, asked in rows) / len(rows), len(rows)) if rows else Value(None, 0, "no-usage")


@point_metric("tokens_per_character", unit="token/character", needs=("prompt_tokens", "prompt_chars"), least=11)
def tokens_per_character(point: Point) -> Value:
    """Tokens that one more character of prompt costs this model's tokeniser in this language.

    The least-squares slope of the server's prompt tokens over the characters sent, over all requests of the model in the
    cell (every workload), one a prompt: what template and nonce cost falls into the intercept. n counts prompts.
    """
    rows = point.prompt_sizes()
    n = len(rows)
    xs, ys = [x for x, _ in rows], [y for _, y in rows]
    spread = n * sum(x * x for x in xs) - sum(xs) ** 2
    if n < 11 or spread == 0:
        return Value(None, n, "too-few-requests" if n < 11 else "one-length")
    return Value((n * sum(x * y for x, y in rows) - sum(xs) * sum(ys)) / spread, n)


def _per_second(point: Point, amounts: list[float]) -> Value:
    if point.seconds <= 0:
        return Value(None, len(amounts), "no-window")
    if not amounts:
        return Value(None, 0, "no-data")
    return Value(math.fsum(amounts) / point.seconds, len(amounts))
