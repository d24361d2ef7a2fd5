"""Whether a point was in a steady state, and whether rate, latency and requests in flight agree."""

from __future__ import annotations

import math

import numpy as np

from serving_study.metrics.metric import Value, point_metric
from serving_study.metrics.point import Point

WINDOWS = 8
"""Equal time windows of throughput; the first quarter is dropped, the rest is compared half against half."""

_DROPPED = WINDOWS // 4
_REQUESTS = 64
_ERRORS = 3.0


@point_metric("in_flight_mean", unit="1", needs=("sent_ns", "ended_ns", "error"))
def in_flight_mean(point: Point) -> Value:
    """Answered requests in flight at a time, from the actual send to the end, averaged over the measuring window."""
    start, end = point.window.measured_from_ns, point.window.ended_ns
    sent, ended = point.flowing("sent_ns", "ended_ns")
    if end <= start or not len(sent):
        return Value(None, len(sent), "no-data" if end > start else "no-window")
    inside = np.clip(ended, start, end) - np.clip(sent, start, end)
    return Value(int(inside.sum()) / (end - start), len(sent))


@point_metric("littles_law", unit="1", needs=("e2e_sent", "intended_ns", "windows"))
def littles_law(point: Point) -> Value:
    """Answered requests a second times their mean E2E from the actual send: in flight by Little's law.

    Stands beside in_flight_mean, which is counted from the connections; a gap between them means that requests were lost,
    clocks disagree, or a server holds connections long after the last text.
    """
    durations = point.answered("e2e_sent")
    if point.seconds <= 0 or not len(durations):
        return Value(None, len(durations), "no-data" if point.seconds > 0 else "no-window")
    return Value(int(durations.sum()) / 1e9 / point.seconds, len(durations))


@point_metric("drift", unit="1", needs=("output_tokens", "chunks", "windows"), least=_REQUESTS)
def drift(point: Point) -> Value:
    """log(second half / first half) of throughput, after the first quarter of the time is dropped.

    Taken over eight equal time windows from the end of the ramp to the last intended send, so that the draining of the
    last requests is no drift. Prompts of different length make windows scatter: where the drift's standard error, taken
    from the windows of each half, is above the limit, there is no value (`too-noisy`) unless the drift stands out by
    three errors. Shown values are averaged over lives and judged there. n counts requests.
    """
    n = len(point.flowing("output_tokens")[0])
    if n < _REQUESTS:
        return Value(None, n, "too-few-requests")
    value, error = _drift(point)
    if value is None or error is None:
        return Value(None, n, "no-data")
    noisy = error > point.judging.limits.drift and not stands_out(point, value, error)
    return Value(None, n, "too-noisy") if noisy else Value(value, n)


def stands_out(point: Point, value: float, error: float) -> bool:
    """The drift is beyond the limit by three of its standard errors: clear in this life alone."""
    return abs(value) > point.judging.limits.drift + _ERRORS * error


def _drift(point: Point) -> tuple[float | None, float | None]:
    first, second = halves(point)
    return (math.log(second / first) if first > 0 and second > 0 else None), drift_error(point)


def halves(point: Point) -> tuple[float, float]:
    """Tokens of the first and of the second half, after the first quarter."""
    kept = point.flow[_DROPPED:].tolist()
    middle = len(kept) // 2
    return math.fsum(kept[:middle]), math.fsum(kept[-middle:])


def drift_error(point: Point) -> float | None:
    """Standard error of one life's drift, from how much its time windows differ inside each half."""
    kept = point.flow[_DROPPED:]
    middle = len(kept) // 2
    sides = kept[:middle], kept[-middle:]
    if any(not side.sum() > 0 for side in sides):
        return None
    return math.sqrt(sum(float(np.var(side, ddof=1)) / middle / float(np.mean(side)) ** 2 for side in sides))
