"""Leaping over repeating events gives exactly what reading each of them gives."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_cell import DONE, delta, sse, stop, usage

from serving_study.metrics.answer import Answer, answer
from serving_study.metrics.documents import Said, read
from serving_study.metrics.framing import JsonLines, ServerSent
from serving_study.metrics.repeats import learn


def one_by_one(events: list[bytes]) -> tuple[str, list[int], Said]:
    """The plain way: each event by itself."""
    said, text, ends, at = Said(), "", [], 0
    for event in events:
        at += len(event)
        if event == DONE:
            said.finished = True
            break
        text += read(json.loads(event[6:]), said)
        ends.append(at)
    return text, ends, said


def same(found: Answer, expected: tuple[str, list[int], Said]) -> bool:
    said = expected[2]
    return (found.text, found.ends.tolist()) == expected[:2] and all(
        getattr(found, name) == getattr(said, name) for name in Said.__slots__
    )


def compact(text: str, created: int = 1) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + orjson.dumps({"id": "x", "choices": [choice], "created": created}) + b"\n\n"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", "\\\\", '","', '"}}]}', "\n\n", "data: ", "한국", "🙂", "", "\u2028"]
)
events = st.one_of(
    st.builds(compact, texts, st.integers(1, 2)),
    st.builds(delta, texts),
    st.builds(lambda t: delta(None, finish_reason=t), st.sampled_from(["stop", "length", None])),
    st.builds(lambda t: sse({"choices": [{"delta": {"reasoning_content": t}}]}), texts),
    st.builds(usage, st.integers(0, 9)),
    st.just(stop()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(events, max_size=30), st.booleans())
def test_any_stream_reads_the_same_as_one_by_one(stream, done):
    stream = [*stream, DONE] if done else stream
    assert same(answer("openai-chat", b"".join(stream)), one_by_one(stream))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(texts, st.integers(1, 2)), max_size=30))
def test_any_lines_read_the_same_as_one_by_one(pieces):
    lines = [orjson.dumps({"model": "m", "created_at": c, "response": t, "done": False}) + b"\n" for t, c in pieces]
    assert answer("ollama", b"".join(lines)).text == "".join(t for t, _ in pieces)


def test_long_streams_are_leapt_over_in_windows():
    stream = [compact(f"w{i} ", created=1 + i // 700) for i in range(5000)] + [stop(), usage(5000), DONE]
    assert same(answer("openai-chat", b"".join(stream)), one_by_one(stream))


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]},
        {"choices": [{"delta": {"content": "x"}}], "usage": {"completion_tokens": 1}},
        {"choices": [{"delta": {"content": "x"}}], "timings": {"cache_n": 1}},
        {"choices": [{"delta": {"content": "x"}}, {"delta": {"content": "y"}}]},
        {"choices": [{"delta": {"content": "x", "reasoning": "y"}}]},
        {"note": {"content": "x"}, "choices": [{"delta": {"content": ""}}]},
    ],
)
def test_an_event_that_says_more_than_one_text_is_no_pattern(event):
    assert learn(sse(event)[:-2], ServerSent) is None


def test_a_field_of_the_same_name_elsewhere_is_not_mistaken_for_the_text():
    event = sse({"note": {"content": "z"}, "choices": [{"delta": {"content": "x"}}]})
    pattern = learn(event[:-2], ServerSent)
    assert pattern is not None
    assert pattern.before.endswith(b'"delta": {"content": "')


def test_lines_have_patterns_too():
    pattern = learn(b'{"response":"x","done":false}', JsonLines)
    assert pattern == (b'{"response":"', b'","done":false}', b"\n")
