"""Service level objectives: the share of requests that keep them, and the goodput under them."""

from __future__ import annotations

from serving_study.metrics.metric import Value, point_metric
from serving_study.metrics.point import Point
from serving_study.study.types import Slo


def keeping(point: Point, slo: Slo) -> int:
    """Measured requests that were answered within every limit of ``slo``; an unknown latency keeps no limit."""
    limits = {"ttft": slo.ttft_ms, "tpot": slo.tpot_ms, "e2e": slo.e2e_ms}
    asked = {name: ms * 1e6 for name, ms in limits.items() if ms is not None}
    rows = point.rows("chunks", *asked)
    return sum(all(value <= limit for value, limit in zip(row[1:], asked.values(), strict=True)) for row in rows)


@point_metric("attainment_{slo}", unit="1", needs=("ttft", "tpot", "e2e", "error", "measured"), better="higher")
def attainment(point: Point, slo: Slo) -> Value:
    """Measured requests that kept every limit of the objective, over all measured requests; a failed one keeps none."""
    n = len(point.measured("chunks"))
    return Value(keeping(point, slo) / n, n) if n else Value(None, 0, "no-data")


@point_metric("goodput_{slo}", unit="1/s", needs=("ttft", "tpot", "e2e", "error", "measured"), better="higher")
def goodput(point: Point, slo: Slo) -> Value:
    """Requests a second that kept every limit of the objective: those of attainment over the measuring window."""
    n = len(point.measured("chunks"))
    if point.seconds <= 0:
        return Value(None, n, "no-window")
    return Value(keeping(point, slo) / point.seconds, n)
