from __future__ import annotations

import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving_study.load.raw import TELEMETRY
from serving_study.load.record import Clock
from serving_study.telemetry import host, trouble
from serving_study.telemetry.sampler import Sampler

SECOND = 1_000_000_000


def readings(tmp_path, *series: tuple[str, str, str, list[float]]) -> trouble.Readings:
    """Series of (source, server, name, values), a reading a second, as a telemetry file."""
    rows = [
        {"time_ns": i * SECOND, "source": source, "server": server, "name": name, "unit": "1", "value": value}
        for source, server, name, values in series
        for i, value in enumerate(values)
    ]
    table = pa.Table.from_pylist(
        rows, schema=pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in TELEMETRY])
    )
    pq.write_table(table.cast(TELEMETRY), tmp_path / "telemetry.parquet")
    return trouble.Readings(tmp_path / "telemetry.parquet")


def shares(tmp_path, busy: float, stolen: float, server: float, client: float) -> trouble.Readings:
    """Ten seconds on two cores with these seconds of processor time."""
    return readings(
        tmp_path,
        ("host", "", "cores", [2.0] * 11),
        ("host", "", "cpu_busy", [100 + busy * i / 10 for i in range(11)]),
        ("host", "", "cpu_stolen", [5 + stolen * i / 10 for i in range(11)]),
        ("process", "one", "cpu_time", [server * i / 10 for i in range(11)]),
        ("client", "", "cpu_time", [client * i / 10 for i in range(11)]),
    )


def test_a_host_that_works_for_the_measurement_alone_is_quiet(tmp_path):
    assert trouble.noisy(shares(tmp_path, busy=15, stolen=0, server=12, client=2.5)) is None


def test_other_programs_make_a_host_noisy_and_the_reason_tells_their_share(tmp_path):
    said = trouble.noisy(shares(tmp_path, busy=19, stolen=0, server=12, client=3))
    assert said == "other programs took 20.0% of the processors and the hypervisor 0.0% (limit 5%)"


def test_time_stolen_by_the_hypervisor_counts_as_noise(tmp_path):
    assert trouble.noisy(shares(tmp_path, busy=15, stolen=1.5, server=12, client=3)) is not None


def test_heat_and_quota_are_throttling(tmp_path):
    assert trouble.throttled(readings(tmp_path, ("host", "", "thermal_events", [3.0, 3.0]))) is None
    assert "2 times" in (trouble.throttled(readings(tmp_path, ("host", "", "thermal_events", [3.0, 5.0]))) or "")
    quota = readings(tmp_path, ("host", "", "quota_seconds", [9.0, 9.0, 9.5]))
    assert "0.5 s of 2 s" in (trouble.throttled(quota) or "")
    slowed = readings(tmp_path, ("nvml", "", "slowed_1", [0.0, 1.0, 1.0, 0.0]))
    assert "50%" in (trouble.throttled(slowed) or "")


def test_a_counter_that_goes_back_is_a_restart_of_an_external_server_and_names_it(tmp_path):
    steady = readings(tmp_path, ("engine", "one", "generated_tokens", [0.0, 5.0, 5.0, 9.0]))
    assert trouble.restarted(steady) is None
    again = readings(tmp_path, ("engine", "one", "generated_tokens", [0.0, 5.0, 1.0, 9.0]))
    assert "server one" in (trouble.restarted(again) or "")


def test_a_server_of_ours_may_unload_a_model_with_its_counters(tmp_path):
    counters = ("engine", "one", "generated_tokens", [0.0, 5.0, 1.0, 9.0])
    unloaded = readings(tmp_path, counters, ("process", "one", "cpu_time", [1.0, 2.0, 3.0, 4.0]))
    assert trouble.restarted(unloaded) is None


@pytest.mark.parametrize(("step_s", "seen"), [(0.0, False), (0.04, False), (-0.5, True), (3600.0, True)])
def test_a_clock_that_was_set_is_a_step_and_one_that_is_slewed_is_not(step_s, seen):
    start = Clock(monotonic_ns=0, utc_ns=10**18)
    end = Clock(monotonic_ns=60 * SECOND, utc_ns=10**18 + 60 * SECOND + int(step_s * SECOND))
    assert (trouble.clock_step(start, end) is not None) == seen


def test_a_busy_neighbour_of_a_real_measurement_is_seen(tmp_path):
    """A spinning process on each core, started through a shell that ends: none is the server's or the client's."""
    spin = f"{sys.executable} -c 'import time; end = time.monotonic() + 4\nwhile time.monotonic() < end: pass' >&- &"
    subprocess.run(["sh", "-c", spin * len(os.sched_getaffinity(0))], check=True)
    with Sampler({}, {}) as sampler:
        time.sleep(2)
    sampler.write(tmp_path / "telemetry.parquet")
    assert "other programs took" in (trouble.noisy(trouble.Readings(tmp_path / "telemetry.parquet")) or "")


def test_a_cell_without_readings_has_nothing_to_say(tmp_path):
    with Sampler({}, {}) as sampler:
        pass
    sampler.write(tmp_path / "telemetry.parquet")
    now = host.clock()
    assert "SERVER_RESTARTED" not in trouble.trouble(now, now, tmp_path / "telemetry.parquet")
