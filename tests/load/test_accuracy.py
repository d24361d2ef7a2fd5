"""How far the recorder is from the truth, on the processors that the server uses as well.

The machine may be busy with other work: each claim has a few tries. A try is not judged where the server itself was
late, nor where the recorder itself says that it lagged: then its point would carry CLIENT_LAG.
"""

import gc
import statistics
import time

import psutil
import pytest

from benchmarks.accuracy import TARGETS, closed_loop, send_lag_ms
from serving_study.load.point import run_point
from serving_study.load.undisturbed import ahead_of_others
from serving_study.load.write import RawWriter
from serving_study.study.types import Limits
from tests.truth.harness import plan, truth

TRIES = 5
LATE_MS = 15
"""Between tokens that the server means to send every 10 ms."""


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", "50", "--gap-ms", "10") as running:
        yield running


@pytest.mark.parametrize(("streams", "within_ms"), TARGETS.items())
def test_percentiles_are_those_of_the_server(server, streams, within_ms):
    errors, told = [], []
    for _ in range(TRIES):
        found = closed_loop(server, streams, 2 * streams, 32)
        errors.append({name: abs(found["recorder"][name] - found["truth"][name]) for name in within_ms})
        if all(error <= within_ms[name] for name, error in errors[-1].items()):
            return
        late = found["truth"]["inter_chunk_p99"] > LATE_MS
        told.append(late or found["recorder"]["client_lag_p99"] > Limits().client_lag_ms)
    said = f"errors in ms: {errors}; the server or the recorder said that it was late: {told}"
    if sum(told) * 2 > len(told):
        pytest.skip(f"too busy a machine: {said}")
    raise AssertionError(said)


def test_a_chunk_costs_less_than_in_a_plain_client(server):
    ratios = []
    for _ in range(TRIES):
        found = closed_loop(server, 64, 128, 64)
        ratios.append(found["recorder"]["tokens_per_cpu_s"] / found["plain"]["tokens_per_cpu_s"])
    assert max(ratios) > 2


def test_open_loop_sends_on_time(server):
    """At 500 requests a second 99 of 100 leave within a millisecond, or as soon as this machine wakes anybody."""
    late = [(send_lag_ms(server, 500, 1000), wake_lag_ms()) for _ in range(TRIES)]
    assert any(ours <= max(1, 2 * machine) for ours, machine in late), late


def wake_lag_ms(times: int = 500, pause_s: float = 0.002) -> float:
    """p99 of how late a thread is woken that asked for nothing else, scheduled as the recorder's loop is."""
    lags = []
    with ahead_of_others():
        for _ in range(times):
            due = time.monotonic() + pause_s
            time.sleep(pause_s)
            lags.append(1000 * (time.monotonic() - due))
    return statistics.quantiles(lags, n=100)[98]


def test_memory_is_bounded_by_the_bytes_that_came(server, tmp_path):
    """The state of a point grows with its bytes, is let go once written, and the next point uses the same memory."""
    process = psutil.Process()
    writer = RawWriter(tmp_path)
    grown = []
    for point in range(4):
        planned = plan(server.port, 256, concurrency=64, max_tokens=200, model="burst")
        before = process.memory_full_info().pss
        recording = run_point(planned, concurrency=64)
        chunks, held = recording.rows, process.memory_full_info().pss - before
        writer.add(recording)
        if point:
            assert held < 350e6 * max(chunks, 50_000) / 1e6 + 40e6
        del recording, planned
        gc.collect()
        grown.append(process.memory_full_info().pss)
    writer.close()
    assert grown[-1] - grown[1] < 20e6
