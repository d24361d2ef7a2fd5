"""Which metrics a study makes claims about; all others are described with their intervals and never ranked."""

from __future__ import annotations

from collections.abc import Iterable

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
