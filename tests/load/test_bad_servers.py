"""Whatever a server does, each request ends with a code, and what was received is kept."""

import socket

import pytest

from serving_study.load.point import run_point
from serving_study.load.recording import Recording
from serving_study.load.schedule import SECOND
from tests.truth.harness import plan, truth


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", "5", "--gap-ms", "2") as running:
        yield running


def received(recording: Recording, position: int) -> bytes:
    part = recording.parts[0]
    rows = (part.owner == position).nonzero()[0]
    return b"".join(part.blocks[part.block[row]][part.begin[row] : part.end[row]] for row in rows)


@pytest.mark.parametrize(
    ("model", "outcome", "last"),
    [
        ("steady", "complete", b"0\r\n\r\n"),
        ("closes", "complete", b"0\r\n\r\n"),
        ("byte-by-byte", "complete", b"0\r\n\r\n"),
        ("long-line", "complete", b"0\r\n\r\n"),
        ("comments", "complete", b"0\r\n\r\n"),
        ("trailers", "complete", b"Server-Timing: total;dur=1\r\n\r\n"),
        ("close-delimited", "complete", b"[DONE]\n\n"),
        ("plain", "complete", b"}"),
        ("error-midway", "complete", b"0\r\n\r\n"),
        ("html", "complete", b"It works!"),
        ("unauthorized", "complete", b"}"),
        ("too-many", "complete", b"}"),
        ("not-found", "complete", b"}"),
        ("broken", "complete", b"}"),
        ("redirect", "complete", b"\r\n\r\n"),
        ("gzipped", "complete", b""),
        ("cut", "closed", b"\r\n"),
        ("no-http", "closed", b"\xff\xfe"),
        ("switching", "closed", b"hi"),
        ("reset", "reset", b"\r\n"),
    ],
)
def test_an_answer_ends_when_it_is_whole_or_its_connection_is_gone(server, model, outcome, last):
    recording = run_point(plan(server.port, 3, model=model, concurrency=3), concurrency=3)
    assert recording.outcomes() == {outcome: 3}
    answers = [received(recording, i) for i in range(3)]
    assert all(answer.endswith(last) for answer in answers)
    assert len(set(answers)) == 1


@pytest.mark.parametrize("last_bytes", range(1, 10))
def test_the_end_of_an_answer_is_seen_wherever_it_is_cut(server, last_bytes):
    planned = plan(server.port, 2, model="cut-end", max_tokens=last_bytes, connection="pooled", deadline_ns=5 * SECOND)
    recording = run_point(planned, concurrency=1)
    assert recording.outcomes() == {"complete": 2}
    assert received(recording, 1).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("model", ["silent", "endless-line", "endless-stream"])
def test_an_answer_that_never_ends_is_given_up_at_its_deadline(server, model):
    planned = plan(server.port, 2, model=model, concurrency=2, deadline_ns=SECOND // 2)
    recording = run_point(planned, concurrency=2)
    assert recording.outcomes() == {"deadline": 2}
    for i in range(2):
        assert recording.ended[i] - recording.intended[i] >= SECOND // 2
        assert (received(recording, i) != b"") == (model != "silent")


def test_a_flood_is_drained_and_given_up(server):
    recording = run_point(plan(server.port, 1, model="flood", deadline_ns=60 * SECOND), concurrency=1)
    assert recording.outcomes() == {"overflow": 1}
    assert len(received(recording, 0)) > 64 << 20


def test_a_dead_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    recording = run_point(plan(port, 5000, concurrency=8), concurrency=8)
    assert recording.outcomes() == {"refused": 5000}
    assert recording.rows == 0


def test_a_full_backlog_ends_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        recording = run_point(plan(port, 6, concurrency=6, deadline_ns=SECOND // 4), concurrency=6)
    assert recording.outcomes() == {"deadline": 6}


def test_a_pooled_connection_that_the_server_closed_is_opened_again(server):
    recording = run_point(plan(server.port, 9, model="closes", concurrency=3, connection="pooled"), concurrency=3)
    assert recording.outcomes() == {"complete": 9}
    assert recording.connection == ["fresh"] * 9


def test_a_pooled_connection_is_used_again_and_recorded_so(server):
    recording = run_point(plan(server.port, 9, concurrency=3, connection="pooled"), concurrency=3)
    assert recording.outcomes() == {"complete": 9}
    assert recording.connection == ["fresh"] * 3 + ["pooled"] * 6
    assert [at < 0 for at in recording.connect] == [False] * 3 + [True] * 6


def test_a_request_larger_than_the_send_buffer_arrives_whole(server):
    recording = run_point(plan(server.port, 2, concurrency=2, nonce="", language="en"), concurrency=2)
    assert recording.outcomes() == {"complete": 2}
