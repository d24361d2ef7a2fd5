"""Several worker processes record one schedule on one clock, as one would."""

import pytest

from serving_study.load.point import run_point
from serving_study.load.schedule import open_loop_offsets
from tests.truth.frames import MS
from tests.truth.harness import plan, truth
from tests.truth.measured import measured


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", "20", "--gap-ms", "2") as running:
        yield running


def test_users_are_dealt_out_and_each_keeps_its_requests(server, tmp_path):
    derived = measured(tmp_path, plan(server.port, 24, concurrency=6, max_tokens=6), concurrency=6, workers=2)
    log = server.log()
    rows = derived.metrics.to_pylist()
    assert [row["error"] for row in rows] == [None] * 24
    assert all(
        row["output_tokens"] == 6 and row["output_chars"] == len("".join(log[row["prompt"]]["texts"])) for row in rows
    )
    for row in rows:
        arrival = log[row["prompt"]]["arrival_ns"]
        assert -0.1 * MS < arrival - row["sent_ns"] < 1000 * MS


def test_arrivals_keep_one_schedule(server):
    offsets = open_loop_offsets(100, 30, "constant", seed=1)
    recording = run_point(
        plan(server.port, 30, concurrency=None, offsets=offsets, max_tokens=2), concurrency=None, workers=3
    )
    assert recording.outcomes() == {"complete": 30}
    assert [at - recording.started_ns for at in recording.intended] == offsets
    assert sorted(set(recording.worker)) == [0, 1, 2]
    assert all(sent >= at for at, sent in zip(recording.intended, recording.sent, strict=True))
    assert len(recording.parts) == 3


def test_a_worker_leaves_more_than_a_block_of_bytes_and_no_complaint(server, capfd):
    recording = run_point(plan(server.port, 120, concurrency=6, model="long-line"), concurrency=6, workers=2)
    assert recording.outcomes() == {"complete": 120}
    assert sum(len(part.blocks) for part in recording.parts) > 2
    assert "Error" not in capfd.readouterr().err
