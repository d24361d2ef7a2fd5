"""The recorder keeps what was sent, when, whatever happens to the request."""

import itertools
import os
import signal
import threading

import pyarrow.parquet as pq
import pytest

from serving_study.load.point import run_point
from serving_study.load.recording import Interrupted
from serving_study.load.schedule import SECOND, open_loop_offsets
from serving_study.load.write import RawWriter
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.validity import judge
from tests.truth.harness import plan, truth
from tests.truth.measured import written


def test_closed_loop_gives_each_user_its_requests_in_order():
    with truth("--first-ms", "5", "--gap-ms", "1") as server:
        recording = run_point(plan(server.port, 12, concurrency=4), concurrency=4)
        log = server.log()
    assert recording.outcomes() == {"complete": 12}
    for user in range(4):
        own = range(user, 12, 4)
        arrivals = [log[f"q-{i}"]["arrival_ns"] for i in own]
        assert arrivals == sorted(arrivals)
        for before, after in itertools.pairwise(own):
            assert recording.ended[before] <= recording.intended[after] <= recording.sent[after]


def test_open_loop_keeps_its_schedule_when_the_server_does_not_answer():
    offsets = open_loop_offsets(400, 40, "poisson", seed=3)
    with truth() as server:
        planned = plan(server.port, 40, model="silent", concurrency=None, offsets=offsets, deadline_ns=SECOND // 4)
        recording = run_point(planned, concurrency=None)
    assert recording.outcomes() == {"deadline": 40}
    assert [at - recording.started_ns for at in recording.intended] == [at - offsets[0] for at in offsets]


def test_raw_files_hold_every_byte_of_every_request(tmp_path):
    with truth("--first-ms", "5", "--gap-ms", "2") as server:
        recording = run_point(plan(server.port, 6, concurrency=3, max_tokens=20), concurrency=3)
        log = server.log()
    writer = RawWriter(tmp_path)
    writer.add(recording)
    digests = writer.close()
    assert set(digests) == {"requests.parquet", "chunks.parquet"}
    requests = pq.read_table(tmp_path / "requests.parquet").to_pylist()
    chunks = pq.read_table(tmp_path / "chunks.parquet").to_pylist()
    assert [row["request"] for row in chunks] == sorted(row["request"] for row in chunks)
    for row in requests:
        own = [chunk for chunk in chunks if chunk["request"] == row["request"]]
        text = b"".join(chunk["data"] for chunk in own)
        assert text.startswith(b"HTTP/1.1 200 OK\r\n") and text.endswith(b"0\r\n\r\n")
        arrival = log[row["prompt"]]["arrival_ns"]
        assert row["connect_ns"] <= row["connected_ns"] <= row["sent_ns"] <= arrival + 100_000
        for chunk in own:
            assert row["sent_ns"] < chunk["kernel_ns"] <= chunk["received_ns"] <= row["ended_ns"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_interrupt_came_before_keeps_its_place_in_the_schedule_and_counts_as_not_delivered(tmp_path, workers):
    """Of sends at 0, 30 and 60 seconds the interrupt comes before the last two."""
    offsets = [0, 30 * SECOND, 60 * SECOND]
    stop = threading.Timer(2 + workers, os.kill, [os.getpid(), signal.SIGINT])
    with truth("--first-ms", "5", "--gap-ms", "1") as server:
        planned = plan(server.port, 3, concurrency=None, offsets=offsets)
        stop.start()
        with pytest.raises(Interrupted) as stopped:
            run_point(planned, concurrency=None, workers=workers)
    recording = stopped.value.recording
    assert recording.outcomes() == {"complete": 1, "interrupted": 2}
    assert [at - recording.started_ns for at in recording.intended] == offsets
    writer = RawWriter(tmp_path)
    writer.add(recording)
    derived = derive(written(tmp_path, recording, None, writer.close()), Judging())
    assert judge(derived.each[0], {})["LOAD_NOT_DELIVERED"].startswith("1 of 3 requests")
