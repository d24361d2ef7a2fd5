"""Memory and KV cache of a deployment, from its telemetry."""

from __future__ import annotations

import pytest
from raw_cell import MS, START, Asked, RawCell, stream

from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging

GIB = 1 << 30


def reading(at_ms: int, source: str, server: str, name: str, value: float) -> tuple[int, str, str, str, str, float]:
    return START + at_ms * MS, source, server, name, "byte", value


@pytest.fixture
def values(tmp_path):
    """Metric to (value, n, reason) of a cell that ran from 0 to 1.2 s with these readings."""

    def derived(*telemetry) -> dict[str, tuple[float | None, int, str | None]]:
        asked = [Asked(stream(["a"] * 8), intended=i * 100 * MS) for i in range(12)]
        points = derive(RawCell(tmp_path, asked, telemetry=list(telemetry)).write(), Judging()).points
        return {r["metric"]: (r["value"], r["n"], r["reason"]) for r in points.to_pylist()}

    return derived


def test_peak_and_idle_memory_are_sums_over_the_servers(values):
    found = values(
        reading(-900, "process", "m", "pss", 1 * GIB),
        reading(-800, "process", "other", "pss", 2 * GIB),
        reading(-100, "process", "m", "pss", 1.5 * GIB),
        reading(500, "process", "m", "pss", 4 * GIB),
        reading(600, "process", "other", "pss", 1 * GIB),
        reading(5000, "process", "m", "pss", 9 * GIB),
    )
    assert found["memory_peak"] == (6 * GIB, 2, None)
    assert found["memory_idle"] == (3.25 * GIB, 2, None)


def test_what_the_driver_says_stands_apart(values):
    found = values(reading(-10, "nvml", "", "memory", 7 * GIB), reading(100, "nvml", "", "memory", 8 * GIB))
    assert (found["device_memory_idle"][0], found["device_memory_peak"][0]) == (7 * GIB, 8 * GIB)
    assert found["memory_peak"] == (None, 0, "not-reported")


def test_the_kv_cache_is_that_of_the_points_own_server_during_the_point(values):
    found = values(
        reading(-10, "engine", "m", "kv_used", 0.9),
        reading(100, "engine", "m", "kv_used", 0.2),
        reading(200, "engine", "m", "kv_used", 0.3),
        reading(200, "engine", "other", "kv_used", 0.8),
    )
    assert found["kv_used_peak"] == (0.3, 2, None)


def test_without_telemetry_there_is_no_value_and_a_reason(values):
    found = values()
    assert {found[name] for name in ("memory_peak", "memory_idle", "kv_used_peak")} == {(None, 0, "not-reported")}
