"""No way of cutting a stream into arrivals changes a metric, apart from the times that arrivals define."""

from __future__ import annotations

import os
import random
import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_cell import DONE, END, MS, START, delta, head, http_chunk, sse, stop, usage

from serving_study.metrics.registry import REQUEST
from serving_study.metrics.request import ERRORS, Request, Span, request
from serving_study.metrics.wire import Wire

OF_ARRIVALS = {"chunks", "window_chars", "window_bytes"}
"""They say how much came together, and when."""

TIMES = {"ttft", "ttft_sent", "ttfe", "e2e", "e2e_sent", "tpot", "client_lag"}

ROW = {
    "intended_ns": START,
    "sent_ns": START + MS,
    "connect_ns": None,
    "connected_ns": None,
    "outcome": "complete",
    "language": "ko",
}


def read(
    data: bytes, cuts: list[int], dialect: str = "openai-chat", gap: int = MS, outcome: str = "complete"
) -> Request:
    """The request whose answer arrived cut at ``cuts``, the byte at place p at least at p times ``gap``."""
    ends = sorted({c for c in cuts if 0 < c < len(data)} | {len(data)} - {0})
    at = np.array([START + e * gap for e in ends], np.int64)
    wire = Wire(data, ends, at + 10, at)
    return request(
        {**ROW, "dialect": dialect, "outcome": outcome}, 10, Span(START, START + (len(data) + 1) * gap), wire
    )


def values(found: Request, *left_out: set[str]) -> dict[str, object]:
    return {name: m.read(found) for name, m in REQUEST.items() if not any(name in names for names in left_out)}


def framed(events: list[bytes], sizes: list[int], length: bool) -> bytes:
    """Events as an HTTP answer: with a length, or chunked without regard to where events end."""
    body = b"".join(events)
    if length:
        return head(more=f"Content-Length: {len(body)}\r\n") + body
    parts, at = [], 0
    for size in sizes:
        parts.append(http_chunk(body[at : at + size]) if body[at : at + size] else b"")
        at += size
    return head() + b"".join(parts) + (http_chunk(body[at:]) if body[at:] else b"") + END


pieces = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(["한국어", "🙂", '"', "\n"])
streams = st.builds(
    lambda texts, tail: [
        sse({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
        *(delta(t) for t in texts),
        b": ping\n\n",
        *tail,
    ],
    st.lists(pieces, max_size=8),
    st.sampled_from([[stop(), usage(5), DONE], [stop()], [sse({"error": {}})], []]),
)


@settings(max_examples=300, deadline=None)
@given(streams, st.data())
def test_no_split_changes_what_a_request_got(events, data):
    sizes = data.draw(st.lists(st.integers(1, 300), max_size=6))
    wire = framed(events, sizes, data.draw(st.booleans()))
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=30))
    whole, cut = read(wire, []), read(wire, cuts)
    assert values(whole, TIMES, OF_ARRIVALS) == values(cut, TIMES, OF_ARRIVALS)


@settings(max_examples=300, deadline=None)
@given(streams, st.data())
def test_times_are_those_of_the_arrival_that_completed_the_event(events, data):
    wire = framed(events, [], True)
    first = len(wire) - len(b"".join(events))
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=30))
    found = read(wire, cuts)
    ends = sorted({c for c in cuts if 0 < c < len(wire)} | {len(wire)})
    place, expected = first, []
    for event in events:
        place += len(event)
        if b'"content": ' in event and b'"content": ""' not in event:
            expected.append(START + min(e for e in ends if e >= place) * MS)
    assert found.text_at.tolist() == expected


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_line_breaks_and_single_bytes_change_nothing(line_break, data):
    events = [delta("가나"), delta("x"), stop(), usage(2), DONE]
    wire = framed([e.replace(b"\n", line_break.encode()) for e in events], [], False)
    cuts = data.draw(st.just(list(range(len(wire)))) | st.lists(st.integers(0, len(wire)), max_size=9))
    found = values(read(wire, cuts), TIMES, OF_ARRIVALS)
    assert (found["output_chars"], found["output_tokens"], found["error"]) == (3, 2, None)


def test_a_fuzzer_finds_no_answer_that_breaks_the_reader():
    """Bounded by SERVING_STUDY_FUZZ_SECONDS (3 by default; a minute in CI)."""
    seconds = float(os.environ.get("SERVING_STUDY_FUZZ_SECONDS", "3"))
    seed = int(os.environ.get("SERVING_STUDY_FUZZ_SEED", str(time.time_ns() % 1_000_000)))
    draw = random.Random(seed)
    seeds = [
        framed([delta("안녕"), delta("b"), stop(), usage(3), DONE], [40, 7], False),
        framed([delta("a"), sse({"error": {"message": "x"}})], [], True),
        b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\nno",
        head(kind="application/x-ndjson")
        + http_chunk(b'{"response":"a","done":false}\n{"done":true,"eval_count":1}\n')
        + END,
        b"HTTP/1.1 200 OK\r\n\r\ndata: 1\r\rdata: [DONE]\n\n",
    ]
    known = {code for code in ERRORS if code != "http-NNN"}
    end, runs = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        wire = _mutated(draw, draw.choice(seeds), seeds)
        cuts = [draw.randrange(len(wire) + 1) for _ in range(draw.randrange(8))]
        outcome = draw.choice(["complete", "deadline", "reset", "closed", "overflow", "interrupted"])
        for dialect in ("openai-chat", "openai-completions", "ollama"):
            one, other = (read(wire, c, dialect, outcome=outcome) for c in (cuts, []))
            told = (seed, dialect, wire, cuts)
            assert one.error is None or one.error in known or one.error.startswith("http-"), told
            assert values(one, TIMES, OF_ARRIVALS) == values(other, TIMES, OF_ARRIVALS), told
            assert (np.diff(one.text_at) >= 0).all(), told
            assert len(one.text_at) == len(one.answer.characters), told
            assert one.answer.octets.sum() >= one.answer.characters.sum() or "\ufffd" in one.answer.text, told
        runs += 1
    assert runs > 0


TOKENS = [
    *(
        b"\r\n",
        b"\n\n",
        b"data: ",
        b"[DONE]",
        b'{"choices":',
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b"\\ud83d",
        b"\xed\x95",
    ),
    *(b"0\r\n\r\n", b"null", b"-1", b'"usage":', b'"content":"x"', b'"error":', b"ffffffffffffffff\r\n", b"\x00"),
    b"HTTP/1.1 100 Continue\r\n\r\n",
]


def _mutated(draw: random.Random, wire: bytes, others: list[bytes]) -> bytes:
    for _ in range(draw.randrange(6)):
        at, to = sorted(draw.randrange(len(wire) + 1) for _ in range(2))
        to = min(to, at + draw.randrange(12))
        kind = draw.randrange(5)
        if kind == 0:
            wire = wire[:at] + draw.choice(TOKENS) + wire[at:]
        elif kind == 1:
            wire = wire[:at] + wire[to:]
        elif kind == 2:
            wire = wire[:at] + draw.randbytes(to - at) + wire[to:]
        elif kind == 3:
            wire = wire[:at] + draw.choice(others)[-draw.randrange(1, 60) :]
        else:
            wire = wire[:to] + wire[at:]
    return wire or b"x"
