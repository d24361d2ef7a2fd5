"""An answer is read off the wire with the time of each of its bytes."""

from __future__ import annotations

import numpy as np
import pytest
from raw_cell import DONE, END, START, delta, head, http_chunk, stop, usage

from serving_study.metrics.request import request
from serving_study.metrics.wire import Wire, reply

EVENTS = [delta("a"), delta("b"), stop() + usage(2) + DONE]
ROW = {"intended_ns": START, "sent_ns": START, "connect_ns": None, "connected_ns": None, "outcome": "complete"}


def wire(parts: list[bytes], received: list[int], kernel: list[int] | None = None) -> Wire:
    ends = np.cumsum([len(p) for p in parts]).tolist()
    return Wire(b"".join(parts), ends, np.array(received), None if kernel is None else np.array(kernel))


def read(received: list[int], kernel: list[int] | None):
    parts = [head() + http_chunk(EVENTS[0]), http_chunk(EVENTS[1]), http_chunk(EVENTS[2]) + END]
    return request({**ROW, "dialect": "openai-chat", "language": "en"}, None, None, wire(parts, received, kernel))


def test_the_kernels_times_are_used_where_it_stamped_every_arrival():
    found = read([START + 10, START + 20, START + 30], [START + 7, START + 16, START + 22])
    assert found.text_at.tolist() == [START + 7, START + 16]
    assert found.lag == 4


def test_the_clients_times_are_used_where_it_did_not():
    found = read([START + 10, START + 20, START + 30], None)
    assert found.text_at.tolist() == [START + 10, START + 20]
    assert found.lag is None


def test_bytes_never_arrive_before_those_ahead_of_them():
    found = read([START + 10, START + 20, START + 30], [START + 7, START + 5, START + 22])
    assert found.text_at.tolist() == [START + 7, START + 7]


@pytest.mark.parametrize("after", [b"garbage", b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", b"\r\n"])
def test_what_follows_an_answer_is_not_part_of_it(after):
    body = b"".join(EVENTS)
    for framed in (head() + http_chunk(body) + END, head(more=f"Content-Length: {len(body)}\r\n") + body):
        got = reply(wire([framed + after], [1]))
        assert (got.status, got.body, got.complete, got.broken) == (200, body, True, False)
        assert got.ends.tolist() == [len(body)]


def test_interim_answers_are_passed_over_and_their_headers_forgotten():
    parts = [b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n", head() + http_chunk(b"x") + END]
    got = reply(wire(parts, [1, 2]))
    assert (got.status, "x-a" in got.headers, got.ends.tolist()) == (200, False, [0, 1])


def test_a_head_over_many_arrivals_is_one():
    data = head() + http_chunk(b"hello") + END
    got = reply(wire([data[i : i + 1] for i in range(len(data))], list(range(len(data)))))
    assert got.headers["content-type"] == "text/event-stream"
    assert (got.body, got.ends[-1], got.complete) == (b"hello", 5, True)
