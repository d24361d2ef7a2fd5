"""Loading on demand: how long a model takes to come and to go, and what memory that takes and gives back."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
TIMES = {"cold_ttft": "cold-ttft", "warm_ttft": "warm-ttft", "unload": "unload-time", "turn_ttft": "turn-ttft"}
"""Reading of ``loading.json`` to measure."""
MEMORY = {"memory-loaded": ("memory_loaded", "memory_empty"), "memory-back": ("memory_loaded", "memory_unloaded")}
"""Measure to the readings that it is the difference of."""


def loading_rows(profiles: Iterable[Json], deployed: Iterable[Json]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.LOADING`` from ``loading.json``; beside them what a restart takes where nothing loads on demand.

    Empty where no deployment was timed. The first turn of each model may find it loaded or not, and is left out.
    """
    timed = list(profiles)
    for profile in timed:
        for held, life in profile["held"].items():
            for (measure, model), values in _readings(life["readings"]).items():
                unit = "byte" if measure in MEMORY else "ns"
                yield _row(profile["deployment"], int(held), model, measure, values, unit)
    names = {profile["deployment"] for profile in timed}
    for record in deployed if timed else ():
        starts = {s: ns for s, ns in record["ready_after_ns"].items() if s in record["models"]}
        if record["deployment"] not in names:
            for model, ready_after in starts.items():
                yield _row(record["deployment"], 0, model, "start-time", [ready_after], "ns")


def _readings(readings: Iterable[Json]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for reading in readings:
        for name, measure in TIMES.items():
            if name in reading:
                found.setdefault((measure, reading["model"]), []).append(reading[name])
        for measure, (over, under) in MEMORY.items():
            if reading.get(over) is not None and reading.get(under) is not None:
                found.setdefault((measure, reading["model"]), []).append(reading[over] - reading[under])
    return {key: values[1:] if key[0] == "turn-ttft" else values for key, values in found.items()}


def _row(deployment: str, held: int, model: str, measure: str, values: list[float], unit: str) -> dict[str, Any]:
    return {
        "measure": measure,
        "model": model,
        "deployment": deployment,
        "held": held,
        "value": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "unit": unit,
        "n": len(values),
    }
