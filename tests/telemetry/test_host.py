from __future__ import annotations

import time

import pytest

from serving_study.telemetry import host


def test_the_host_is_told_without_its_id():
    first, second = host.host(), host.host()
    assert first == second
    assert len(first.name) == 12
    assert first.memory_bytes > 0


def test_the_clock_pair_moves_with_both_clocks():
    start = host.clock()
    time.sleep(0.05)
    end = host.clock()
    assert end.monotonic_ns - start.monotonic_ns == pytest.approx(end.utc_ns - start.utc_ns, abs=20_000_000)
