"""How far the recorder is from the truth, on the processors that the server uses as well.

The machine may be busy with other work: each claim has three tries, and is not judged where the server itself was late.
"""

import gc

import psutil
import pytest

from benchmarks.accuracy import closed_loop, send_lag_ms
from serving_study.load.point import run_point
from serving_study.load.write import RawWriter
from tests.truth.harness import plan, truth

TRIES = 3
COLUMNS = ("ttft_p50", "ttft_p99", "inter_chunk_p99")


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", "50", "--gap-ms", "10") as running:
        yield running


@pytest.mark.parametrize(("streams", "within_ms"), [(256, (0.5, 2, 2)), (1024, (1, 5, 2))])
def test_percentiles_are_those_of_the_server(server, streams, within_ms):
    errors = []
    for _ in range(TRIES):
        found = closed_loop(server, streams, 2 * streams, 32)
        errors.append([abs(found["recorder"][name] - found["truth"][name]) for name in COLUMNS])
        if all(error <= limit for error, limit in zip(errors[-1], within_ms, strict=True)):
            return
        late = found["truth"]["inter_chunk_p99"] > 15
    if late:
        pytest.skip("the server itself did not keep its times: too busy a machine")
    raise AssertionError(f"errors in ms of {COLUMNS}: {errors}")


def test_a_chunk_costs_less_than_in_a_plain_client(server):
    ratios = []
    for _ in range(TRIES):
        found = closed_loop(server, 64, 128, 64)
        ratios.append(found["recorder"]["tokens_per_cpu_s"] / found["plain"]["tokens_per_cpu_s"])
    assert max(ratios) > 1.5


def test_open_loop_sends_on_time(server):
    assert min(send_lag_ms(server, 500, 1000) for _ in range(TRIES)) <= 5


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
