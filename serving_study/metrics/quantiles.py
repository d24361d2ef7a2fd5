"""Percentiles, means and shares of a point, each with the number of requests that it takes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from serving_study.metrics.metric import Better, Value, point_metric
from serving_study.metrics.point import Column, Point

LEAST = {50: 11, 90: 64, 95: 130, 99: 662}
"""Requests below which a percentile of one life is not shown (docs/metrics.md)."""

LATENCIES: dict[str, Better] = {
    "ttft": "lower",
    "ttft_sent": "lower",
    "ttfe": "lower",
    "tpot": "lower",
    "e2e": "lower",
    "inter_chunk": "lower",
    "connect": "neither",
    "send_lag": "neither",
    "client_lag": "neither",
}
"""Latency to its direction; the last three say what the instrument did and rank no engine."""

_OF_ALL = frozenset(("connect", "send_lag", "client_lag"))
"""Taken over failed requests, too."""


def quantile(values: Column, percent: float) -> float:
    """The percentile with linear interpolation between order statistics (type 7, NumPy's and R's default)."""
    return float(np.quantile(values, percent / 100))


def mean(values: Column) -> float:
    """The arithmetic mean; the sum is exact, so that every processor gives the same."""
    return math.fsum(values.tolist()) / len(values)


def shown(values: Column, n: int, least: int, read: Callable[[Column], float]) -> Value:
    """``read(values)`` if there are enough, else no value and why."""
    if not len(values):
        return Value(None, n, "no-data")
    if n < least:
        return Value(None, n, "too-few-requests")
    return Value(read(values), n)


def sample(point: Point, name: str) -> tuple[Column, int]:
    """The values of a latency and how many requests stand behind them."""
    if name == "inter_chunk":
        return point.gaps, point.gap_requests
    values = point.measured(name) if name in _OF_ALL else point.answered(name)
    return values, len(values)


def _register(name: str) -> None:
    whose = (
        "the times between successive chunks of generated text (a chunk may hold several tokens, so this is not the"
        " inter-token latency); n counts requests"
        if name == "inter_chunk"
        else f"`{name}` over the point's measured requests" + ("" if name in _OF_ALL else " that were answered")
    )
    needs = ("chunks",) if name == "inter_chunk" else (name, "measured", "error")
    for percent, least in LEAST.items():

        def percentile(point: Point, percent: int = percent, least: int = least) -> Value:
            values, n = sample(point, name)
            return shown(values, n, least, lambda v: quantile(v, percent))

        point_metric(
            f"{name}_p{percent}",
            unit="ns",
            needs=needs,
            better=LATENCIES[name],
            least=least,
            definition=f"Percentile {percent} (type 7) of {whose}.",
        )(percentile)

    def average(point: Point) -> Value:
        values, n = sample(point, name)
        return shown(values, n, 1, mean)

    point_metric(
        f"{name}_mean", unit="ns", needs=needs, better=LATENCIES[name], definition=f"Arithmetic mean of {whose}."
    )(average)


for _name in LATENCIES:
    _register(_name)
