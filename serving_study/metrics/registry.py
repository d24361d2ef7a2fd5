"""Every metric there is, with its unit, direction and definition; importing this module fills it."""

from __future__ import annotations

from serving_study.metrics import content, latency, objectives, quantiles, rates, resources, steadiness
from serving_study.metrics.metric import POINT, REQUEST, Better, Metric, Value

__all__ = ["LEAST", "POINT", "REQUEST", "Better", "Metric", "Value", "find", "sections"]

LEAST = quantiles.LEAST

_TITLES = {
    latency: "Latency of a request",
    content: "What a request got",
    quantiles: "Latency of a point",
    rates: "What a point delivered",
    objectives: "Service level objectives",
    steadiness: "Steady state",
    resources: "Resources",
}


def find(name: str) -> Metric:
    """The point metric of this name; ``goodput_chat`` is ``goodput_{slo}``. Raises KeyError for an unknown name."""
    if name in POINT:
        return POINT[name]
    for pattern, found in POINT.items():
        start, brace, _ = pattern.partition("{")
        if brace and name.startswith(start) and len(name) > len(start):
            return found
    raise KeyError(name)


def sections() -> dict[str, list[Metric]]:
    """The metrics by title, in the order of the documentation."""
    every = [*REQUEST.values(), *POINT.values()]
    names = {module.__name__: title for module, title in _TITLES.items()}
    return {title: [m for m in every if m.read.__module__ == module] for module, title in names.items()}
