from __future__ import annotations

import os
import time

import pytest

from serving_study.telemetry import processors


def test_processor_time_grows_by_what_is_spent():
    before, own = processors.processor_time(), time.process_time()
    while time.process_time() - own < 0.3:
        pass
    after = processors.processor_time()
    assert after["busy"] - before["busy"] >= 0.25


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A tree of control groups in which ours is ``/outer/inner``; writes a file of one of them."""

    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    monkeypatch.setattr(processors, "CGROUPS", tmp_path)
    monkeypatch.setattr(processors, "_memberships", lambda: {"": "/outer/inner", "cpu": "/outer/inner"})
    return write


def test_without_a_quota_the_cores_are_those_that_we_may_run_on(group):
    group("cgroup.controllers", "cpu")
    group("outer/inner/cpu.max", "max 100000\n")
    assert processors.cores() == len(os.sched_getaffinity(0))


def test_a_quota_of_any_group_around_us_limits_the_cores(group):
    group("cgroup.controllers", "cpu")
    group("outer/inner/cpu.max", "max 100000\n")
    group("outer/cpu.max", "50000 100000\n")
    assert processors.cores() == 1


def test_a_quota_of_the_first_version_of_control_groups_limits_the_cores(group):
    group("cpu/outer/inner/cpu.cfs_quota_us", "100000\n")
    group("cpu/outer/inner/cpu.cfs_period_us", "100000\n")
    group("cpu/cpu.cfs_quota_us", "-1\n")
    assert processors.cores() == 1


def test_waiting_for_the_quota_is_told_in_seconds_by_both_versions(group):
    group("cpu/outer/inner/cpu.stat", "nr_periods 3\nnr_throttled 2\nthrottled_time 2500000000\n")
    assert processors.throttling()["quota_seconds"] == 2.5
    group("cgroup.controllers", "cpu")
    group("outer/inner/cpu.stat", "usage_usec 7\nthrottled_usec 1500000\n")
    group("outer/cpu.stat", "usage_usec 7\nthrottled_usec 0\n")
    assert processors.throttling()["quota_seconds"] == 1.5
