"""Each request that was not answered as asked ends with a code, and what came is kept."""

from __future__ import annotations

import gzip

import pytest
from raw_cell import DONE, END, MS, START, Asked, RawCell, delta, head, http_chunk, sse, stop, stream, usage

from serving_study.metrics.derive import derive
from serving_study.metrics.examples import examples
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


TOLD = {
    "an error beside choices": (sse({"choices": [{"delta": {"content": "b"}}], "error": {"message": "boom"}}), True),
    "an error beside empty choices": (sse({"choices": [], "error": "boom"}), True),
    "an object of errors": (sse({"object": "error", "message": "boom", "code": 500}), True),
    "an event called error": (b'event: error\ndata: {"message": "boom"}\n\n', True),
    "an event called error that is no JSON": (b"event: error\ndata: boom\n\n", True),
    "an error field": (b'error: {"code": 500}\n\n', True),
    "an error field that is no JSON": (b"error: boom\n\n", True),
    "a finish reason of error": (stop("error"), True),
    "a finish reason of abort": (stop("abort"), True),
    "no error beside choices": (sse({"choices": [{"delta": {"content": "b"}}], "error": None}), False),
    "no error on its own": (sse({"error": None}), False),
    "an empty error field": (b"error: null\n\n", False),
    "another event": (b"event: token\n" + delta("b"), False),
}


@pytest.mark.parametrize("told", TOLD)
def test_an_error_in_mid_stream_is_no_answer_however_the_server_tells_it(told, tmp_path):
    event, failed = TOLD[told]
    body = delta("a") + event + stop() + usage(2) + DONE
    assert one(tmp_path, head() + http_chunk(body) + END)["error"] == ("stream-error" if failed else None)


@pytest.mark.parametrize(
    ("code", "data", "said"),
    [
        ("http-400", whole(b'{"error": "no such field"}', "400 Bad Request"), '{"error": "no such field"}'),
        ("http-500", whole(b"\x1b[31mred\r\n\xff", "500 Oops"), "\\x1b[31mred\\r\\n\ufffd"),
        ("http-503", whole("\u202eabc한국".encode(), "503 Oops"), "\\u202eabc한국"),
        ("http-502", whole(b"x" * 1000, "502 Oops"), "x" * 200 + "..."),
        ("not-http", b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
        ("stream-error", head() + http_chunk(delta("y") * 9 + b'data: {"error": "boom"}\n\n') + END, '"boom"}'),
    ],
)
def test_one_answer_of_each_error_is_shown_and_cannot_move_the_cursor(code, data, said, tmp_path):
    good = Asked(stream(["a", "b"]), max_tokens=2)
    bad = [Asked([(50 * MS, data)], outcome="closed"), Asked([(50 * MS, whole(b"another", "418 Teapot"))])]
    file = RawCell(tmp_path, [good, *bad]).write()
    shown = examples(tmp_path / "chunks.parquet", derive(file, Judging()).metrics)
    assert set(shown) == {code, "http-418"} and shown["http-418"] == "another"
    assert shown[code].endswith(said) and shown[code].removeprefix("...").isprintable()
