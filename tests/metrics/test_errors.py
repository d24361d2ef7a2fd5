"""Each request that was not answered as asked ends with a code, and what came is kept."""

from __future__ import annotations

import gzip

import pytest
from raw_cell import DONE, END, MS, START, Asked, RawCell, delta, head, http_chunk, sse, stop, usage

from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.request import ERRORS

GOOD = delta("a") + delta("b") + stop() + usage(2) + DONE


def whole(body: bytes, status: str = "200 OK", kind: str = "text/event-stream", more: str = "") -> bytes:
    return head(status, kind, more + f"Content-Length: {len(body)}\r\n") + body


CASES = {
    "refused": (b"", "refused"),
    "tls": (b"", "tls"),
    "exhausted": (b"", "exhausted"),
    "closed": (b"", "complete"),
    "reset": (head() + http_chunk(delta("a")), "reset"),
    "deadline": (head() + http_chunk(delta("a")), "deadline"),
    "overflow": (head() + http_chunk(delta("a")), "overflow"),
    "interrupted": (head() + http_chunk(delta("a")), "interrupted"),
    "not-http": (b"SSH-2.0-OpenSSH_9.6\r\n", "closed"),
    "redirect": (head("302 Found", more="Location: /x\r\nContent-Length: 0\r\n"), "complete"),
    "http-401": (whole(b'{"error":"key"}', "401 Unauthorized", "application/json"), "complete"),
    "http-429": (whole(b"", "429 Too Many Requests"), "complete"),
    "http-500": (whole(b"<html>", "500 Internal Server Error", "text/html"), "complete"),
    "http-204": (head("204 No Content", more=""), "complete"),
    "encoded": (whole(gzip.compress(GOOD, mtime=0), more="Content-Encoding: gzip\r\n"), "complete"),
    "html": (whole(b"<html><body>Welcome</body></html>", kind="text/html; charset=utf-8"), "complete"),
    "not-a-stream": (whole(b'{"choices": []}', kind="application/json"), "complete"),
    "stream-error": (head() + http_chunk(delta("a") + sse({"error": {"code": 500}}) + DONE) + END, "complete"),
    "malformed": (head() + http_chunk(delta("a") + b"data: {oops\n\n" + stop() + DONE) + END, "complete"),
    "truncated": (head() + http_chunk(delta("a") + stop()), "complete"),
    "unfinished": (head() + http_chunk(delta("a")) + END, "complete"),
    "no-text": (head() + http_chunk(delta("") + stop() + usage(0) + DONE) + END, "complete"),
}


def one(folder, data: bytes, outcome: str = "complete") -> dict:
    arrivals = [(50 * MS, data)] if data else []
    file = RawCell(folder, [Asked(arrivals, outcome=outcome)]).write()
    [row] = derive(file, Judging()).metrics.to_pylist()
    return row


@pytest.mark.parametrize("code", CASES)
def test_a_bad_answer_has_its_code(code, tmp_path):
    assert one(tmp_path, *CASES[code])["error"] == code


def test_every_code_has_a_case_and_a_meaning():
    assert {c if not c.startswith("http-") else "http-NNN" for c in CASES} == set(ERRORS)


@pytest.mark.parametrize(
    "code", ["reset", "deadline", "overflow", "interrupted", "stream-error", "malformed", "unfinished"]
)
def test_text_that_came_before_the_error_is_kept(code, tmp_path):
    row = one(tmp_path, *CASES[code])
    assert (row["output_chars"], row["ttft"]) == (1, 50 * MS)


def test_what_is_no_stream_is_not_read_as_text(tmp_path):
    for code in ("encoded", "html", "http-401", "redirect"):
        assert one(tmp_path, *CASES[code])["output_chars"] == 0


@pytest.mark.parametrize("outcome", ["complete", "closed"])
def test_an_answer_without_framing_ends_with_its_connection(outcome, tmp_path):
    data = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + GOOD
    assert one(tmp_path, data, outcome)["error"] is None
    assert one(tmp_path, data, "reset")["error"] == "reset"


def test_an_interim_answer_is_passed_over(tmp_path):
    row = one(tmp_path, b"HTTP/1.1 100 Continue\r\n\r\n" + whole(GOOD))
    assert (row["error"], row["output_chars"]) == (None, 2)


def test_a_request_that_was_never_sent_has_no_latency(tmp_path):
    file = RawCell(tmp_path, [Asked([], outcome="refused", sent_lag=None, ended=9 * MS)], ended=START + 10 * MS).write()
    derived = derive(file, Judging())
    [row] = derived.metrics.to_pylist()
    assert {row[name] for name in ("ttft", "e2e", "ttft_sent", "send_lag", "connect", "tpot", "client_lag")} == {None}
    [rate] = [r for r in derived.points.to_pylist() if r["metric"] == "success_rate"]
    assert (rate["value"], rate["codes"]) == (0.0, "ERRORS_OVER_LIMIT")
