"""What a streamed answer says is read from its bytes, whatever the server's habits."""

from __future__ import annotations

import json

import pytest
from raw_cell import DONE, delta, sse, stop, usage

from serving_study.metrics.answer import answer


def chat(*events: bytes):
    return answer("openai-chat", b"".join(events))


def line(**document) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def test_text_usage_and_finish_of_a_chat_stream():
    said = chat(delta("Hel"), delta("lo"), stop(), usage(7, 21, 4), DONE)
    assert (said.text, said.output_tokens, said.prompt_tokens, said.cached_tokens) == ("Hello", 7, 21, 4)
    assert (said.finish, said.finished, said.failed, said.malformed, said.events) == ("length", True, False, 0, 4)
    assert said.pieces.tolist() == [0, 1]


def test_completions_with_usage_in_the_last_chunk_that_has_choices():
    first = sse({"choices": [{"index": 0, "text": " a b", "finish_reason": None}]})
    last = sse(
        {
            "choices": [{"index": 0, "text": "", "finish_reason": "length"}],
            "usage": {"completion_tokens": 2, "prompt_tokens": 5, "total_tokens": 7},
            "timings": {"cache_n": 3, "prompt_n": 2},
        }
    )
    said = answer("openai-completions", first + last + DONE)
    assert (said.text, said.output_tokens, said.prompt_tokens, said.cached_tokens) == (" a b", 2, 5, 3)


def test_ollama_lines_of_both_paths():
    chat_lines = line(message={"role": "assistant", "content": "안"}, done=False) + line(
        message={"role": "assistant", "content": ""}, done=True, done_reason="stop", prompt_eval_count=9, eval_count=4
    )
    generate = line(response="안", done=False) + line(
        response="", done=True, done_reason="stop", prompt_eval_count=9, eval_count=4
    )
    for body in (chat_lines, generate):
        said = answer("ollama", body)
        assert (said.text, said.output_tokens, said.prompt_tokens, said.finish) == ("안", 4, 9, "stop")
        assert said.finished


def test_ollama_thinking_is_generated_text():
    body = line(message={"role": "assistant", "content": "", "thinking": "hm"}, done=False) + line(
        done=True, eval_count=1
    )
    assert answer("ollama", body).text == "hm"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_generated_text(name):
    thinking = sse({"choices": [{"index": 0, "delta": {name: "so "}, "finish_reason": None}]})
    said = chat(thinking, delta("yes"), stop(), usage(2))
    assert said.text == "so yes"
    assert said.pieces.tolist() == [0, 1]


def test_reasoning_under_its_old_and_its_new_name_counts_once():
    both = sse({"choices": [{"index": 0, "delta": {"reasoning_content": "so ", "reasoning": "so "}}]})
    assert chat(both, both, delta("yes"), stop(), usage(3)).text == "so so yes"


PARTS = {
    "text in parts": ({"content": [{"type": "text", "text": "so"}, {"type": "image", "url": "x"}]}, "so"),
    "thoughts in parts": ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "hm"),
    "a thought as a string": (
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}]},
        "hmso",
    ),
    "details of reasoning": ({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hm"),
    "a summary of reasoning": ({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}, "hm"),
    "details beside the same": ({"reasoning": "hm", "reasoning_details": [{"text": "h"}, {"text": "m"}]}, "hm"),
    "hidden details": ({"content": "so", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, "so"),
    "what is no part": ({"content": ["so", 7, None, {"text": None}]}, ""),
}


@pytest.mark.parametrize("how", PARTS)
@pytest.mark.parametrize("times", [1, 20])
def test_text_in_newer_fields_is_generated_text(how, times):
    fields, text = PARTS[how]
    said = chat(sse({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}) * times, delta("!"), stop())
    assert (said.text, said.malformed) == (text * times + "!", 0)


def test_running_usage_in_every_chunk_counts_the_last():
    chunks = [sse({"choices": [{"delta": {"content": "x"}}], "usage": {"completion_tokens": n}}) for n in (1, 2, 3)]
    said = chat(*chunks)
    assert (said.output_tokens, said.finished) == (3, False)


def test_a_missing_done_is_no_failure():
    assert chat(delta("x"), stop(), usage(1)).finished
    assert not chat(delta("x")).finished


def test_what_follows_done_is_not_read():
    said = chat(delta("x"), DONE, delta("y"))
    assert (said.text, said.events) == ("x", 1)


def test_comments_ids_names_and_retry_lines_are_passed_over():
    body = b": keep-alive\n\nretry: 100\n\nid: 7\nevent: message\n" + delta("x") + b":\n\n" + stop()
    said = chat(body)
    assert (said.text, said.events, said.malformed) == ("x", 2, 0)


@pytest.mark.parametrize("line_break", [b"\r\n", b"\r", b"\n"])
def test_every_line_break_gives_the_same_events_and_its_own_positions(line_break):
    events = [delta("a\nb"), delta("c"), b": ping\n\n", stop(), DONE]
    sent = [e.replace(b"\n", line_break) for e in events]
    said = chat(*sent)
    assert said.text == "a\nbc"
    lengths = [len(e) for e in sent]
    assert said.ends.tolist() == [sum(lengths[: i + 1]) for i in (0, 1, 3)]


def test_data_over_several_lines_is_one_document():
    assert chat(b'data: {"choices":\ndata: [{"delta": {"content": "x"}}]}\n\n').text == "x"


def test_a_byte_order_mark_is_skipped():
    body = b"\xef\xbb\xbf" + delta("x")
    assert chat(body).text == "x"
    assert chat(body).ends.tolist() == [len(body)]


def test_an_unclosed_last_event_counts_only_if_it_is_whole():
    whole, cut = delta("y").rstrip(b"\n"), delta("y")[:-8]
    assert chat(delta("x"), whole).text == "xy"
    said = chat(delta("x"), cut)
    assert (said.text, said.malformed, said.events) == ("x", 0, 1)


def test_errors_in_mid_stream_are_seen():
    assert chat(delta("x"), sse({"error": {"message": "boom", "code": 500}})).failed
    assert chat(delta("x"), b'error: {"code": 500, "message": "boom"}\n\n').failed
    assert answer("ollama", line(response="x", done=False) + line(error="boom")).failed


@pytest.mark.parametrize(
    "bad", [b"data: {nonsense\n\n", b"data: 7\n\n", b'data: {"choices": [7]}\n\n', b'data: {"choices": 7}\n\n']
)
def test_an_event_that_is_not_as_agreed_is_counted_and_the_rest_is_read(bad):
    said = chat(delta("x"), bad, delta("y"), stop())
    assert (said.text, said.malformed) == ("xy", 1)


def test_a_character_split_over_events_counts_once_where_it_is_complete():
    raw = "한".encode()
    halves = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % part for part in (raw[:1], raw[1:])]
    said = chat(delta("국"), *halves, stop())
    assert said.text == "국한"
    assert said.characters.tolist() == [1, 0, 1]
    assert said.octets.tolist() == [3, 1, 2]


def test_a_surrogate_pair_split_over_events_counts_once():
    halves = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % part for part in (b"\\ud83d", b"\\ude42")]
    said = chat(*halves, stop())
    assert said.text == "🙂"
    assert said.characters.tolist() == [0, 1]
    assert said.octets.sum() == 4


def test_bytes_that_are_no_text_become_replacement_characters():
    said = chat(b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n', stop())
    assert said.text == "a\ufffdb"
    assert said.malformed == 0


def test_numbers_that_are_no_counts_are_not_taken():
    for count in (-1, 1.5, True, "7", None, 1 << 70):
        assert chat(delta("x"), sse({"choices": [], "usage": {"completion_tokens": count}})).output_tokens is None
