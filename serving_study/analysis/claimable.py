"""Which metrics a study makes claims about; all others are described with their intervals and never ranked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from serving_study.study.types import Slo

_NAMED = (
    "output_throughput",
    "ttft_p50",
    "tpot_p50",
    "e2e_p50",
    "e2e_p99",
    "memory_peak",
    "device_memory_peak",
)


def claimed(metrics: Iterable[str]) -> list[str]:
    """The claimable ones of ``metrics``, headline order first."""
    found = set(metrics)
    return [m for m in _NAMED if m in found] + sorted(m for m in found if m.startswith("goodput_"))


def tail(metric: str) -> bool:
    """Whether a metric is a tail, claimed as a headline only: one point's tail of a few hundred requests is too noisy."""
    return metric.endswith(("_p95", "_p99"))


def of_memory(metric: str) -> bool:
    """Whether a metric is of memory, where what is reserved cannot be compared with what is used."""
    return metric.startswith(("memory", "device_memory"))


def of_whole_answers(metric: str, slos: Mapping[str, Slo]) -> bool:
    """Whether a metric counts whole answers, so that shorter ones flatter it.

    Rates and times per token stay true of short answers, and so does an objective without a limit on the whole answer.
    """
    start, _, slo = metric.partition("_")
    if start == "attainment":
        return slo in slos and slos[slo].e2e_ms is not None
    return start in ("e2e", "goodput") or metric == "request_throughput"
