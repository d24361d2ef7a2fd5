"""What a point and a deployment used: KV cache, the client's own processor time, memory over one life."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving_study.load.record import Window
from serving_study.metrics.metric import Value, point_metric
from serving_study.metrics.point import Point, Readings


@point_metric("kv_used_peak", unit="1", needs=("telemetry",))
def kv_used_peak(point: Point) -> Value:
    """Largest share of the KV cache in use during the point, as the engine reports it; n counts readings."""
    start, end = point.window.started_ns, point.window.ended_ns
    values = [v for r in point.series("engine", "kv_used") for v in r.between(start, end).tolist()]
    return Value(max(values), len(values)) if values else Value(None, 0, "not-reported")


@point_metric("client_cpu", unit="s", needs=("windows",))
def client_cpu(point: Point) -> Value:
    """Processor time of the load generator over the whole window, shared by all models that the window loads together."""
    return Value(point.window.client_cpu_s, len(point.measured("chunks")))


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a deployment as its memory metrics see it."""

    readings: tuple[Readings, ...]
    windows: tuple[Window, ...]

    def total(self, source: str, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Sum over all servers at every time that any was read, once all were: each server's latest reading counts."""
        series = [r for r in self.readings if (r.source, r.name) == (source, name) and len(r.times)]
        if not series:
            return np.empty(0, np.int64), np.empty(0)
        times = np.unique(np.concatenate([r.times for r in series]))
        times = times[times >= max(r.times[0] for r in series)]
        latest = (r.values[np.searchsorted(r.times, times, "right") - 1] for r in series)
        return times, np.sum(list(latest), axis=0)


def _peak(life: Life, source: str, name: str) -> Value:
    times, total = life.total(source, name)
    start, end = (
        min((w.started_ns for w in life.windows), default=0),
        max((w.ended_ns for w in life.windows), default=0),
    )
    inside = (times >= start) & (times <= end)
    return Value(float(total[inside].max()), int(inside.sum())) if inside.any() else Value(None, 0, "not-reported")


def _idle(life: Life, source: str, name: str) -> Value:
    times, total = life.total(source, name)
    before = times < min((w.started_ns for w in life.windows), default=0)
    return Value(float(np.median(total[before])), int(before.sum())) if before.any() else Value(None, 0, "not-reported")


@point_metric("memory_peak", unit="byte", needs=("telemetry", "windows"), better="lower", scope="deployment")
def memory_peak(life: Life) -> Value:
    """Largest memory (PSS) of all server process trees together from the first point to the last; n counts readings."""
    return _peak(life, "process", "pss")


@point_metric("memory_idle", unit="byte", needs=("telemetry", "windows"), better="lower", scope="deployment")
def memory_idle(life: Life) -> Value:
    """Memory (PSS) of all server process trees together, ready and warmed up but without load: median before the first point."""
    return _idle(life, "process", "pss")


@point_metric("device_memory_peak", unit="byte", needs=("telemetry", "windows"), better="lower", scope="deployment")
def device_memory_peak(life: Life) -> Value:
    """Largest memory in use on the accelerators from the first point to the last, as the driver (NVML) sees it."""
    return _peak(life, "nvml", "memory")


@point_metric("device_memory_idle", unit="byte", needs=("telemetry", "windows"), better="lower", scope="deployment")
def device_memory_idle(life: Life) -> Value:
    """Memory in use on the accelerators, ready and warmed up but without load: median before the first point."""
    return _idle(life, "nvml", "memory")
