"""What the server says and when: scripted answers, chosen by the name of the model."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as the server understood it."""

    path: str
    model: str
    prompt: str
    max_tokens: int
    first_ns: int
    gap_ns: int
    arrival_ns: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes of one write, and when: from the arrival of the request."""

    at_ns: int
    data: bytes
    text: str = ""
    """Generated text that ends in this write."""
    tokens: int = 0
    then: str = "go"
    """``go`` on, ``done`` (keep the connection), ``close``, ``reset`` or ``hang``."""


Scenario = Callable[[Ask], Iterable[Frame]]
SCENARIOS: dict[str, Scenario] = {}
EVENT_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LINES = EVENT_STREAM.replace(b"text/event-stream", b"application/x-ndjson")
END = b"0\r\n\r\n"
WORDS = (
    "나는 ",
    "학교에 ",
    "갑니다",
    ". ",
    "今天",
    "天气",
    "很好",
    "。",
    " The",
    " sky",
    " is",
    " blue",
    "🙂",
    "é",
    "\n",
    "x",
)


def word(i: int) -> str:
    """Token ``i``: Korean, Chinese, English, an emoji, a line break."""
    return WORDS[i % len(WORDS)]


def scenario(function: Scenario) -> Scenario:
    """Register under the function's name, dashes for underscores."""
    SCENARIOS[function.__name__.strip("_").replace("_", "-")] = function
    return function


def chunk(data: bytes) -> bytes:
    """One chunk of HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def sse(body: dict[str, Any] | str, end: str = "\n") -> bytes:
    """One server-sent event."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}{end}{end}".encode()


def delta(ask: Ask, text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One event's object in the dialect of the path."""
    if ask.path.endswith("/chat/completions"):
        content = {} if text is None else {"content": text}
        choice: dict[str, Any] = {"index": 0, "delta": content | more.pop("delta", {}), "finish_reason": finish}
        kind = "chat.completion.chunk"
    else:
        choice = {"index": 0, "text": text or "", "finish_reason": finish}
        kind = "text_completion"
    return {"id": "truth-1", "object": kind, "created": 1, "model": ask.model, "choices": [choice]} | more


def usage(tokens: int) -> dict[str, Any]:
    """The counts of a whole answer."""
    details = {"cached_tokens": 0}
    return {
        "prompt_tokens": 16,
        "completion_tokens": tokens,
        "total_tokens": 16 + tokens,
        "prompt_tokens_details": details,
    }


def usage_event(ask: Ask, tokens: int) -> bytes:
    """Usage in an event without choices."""
    return sse(delta(ask, None) | {"choices": [], "usage": usage(tokens)})


def at(ask: Ask, i: int) -> int:
    """When token ``i`` leaves."""
    return ask.first_ns + i * ask.gap_ns


@functools.lru_cache(maxsize=64)
def _steady(ask: Ask) -> list[Frame]:
    n = ask.max_tokens
    if ask.path.startswith("/api/"):
        return _ollama(ask)
    frames = [
        Frame(at(ask, i), chunk(sse(delta(ask, word(i), "length" if i == n - 1 else None))), word(i), 1)
        for i in range(n)
    ]
    frames[0] = replace(frames[0], data=EVENT_STREAM + frames[0].data)
    tail = chunk(usage_event(ask, n)) + chunk(sse("[DONE]")) + END
    return [*frames[:-1], replace(frames[-1], data=frames[-1].data + tail, then="done")]


def _ollama(ask: Ask) -> list[Frame]:
    chat = ask.path == "/api/chat"
    frames = []
    for i in range(ask.max_tokens):
        body = {"message": {"role": "assistant", "content": word(i)}} if chat else {"response": word(i)}
        line = json.dumps({"model": ask.model} | body | {"done": False}, ensure_ascii=False).encode() + b"\n"
        frames.append(Frame(at(ask, i), chunk(line), word(i), 1))
    last = {"model": ask.model, "done": True, "done_reason": "length", "prompt_eval_count": 16}
    last |= {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
    last |= {"eval_count": ask.max_tokens, "total_duration": 1, "eval_duration": 1}
    frames[0] = replace(frames[0], data=LINES + frames[0].data)
    end = chunk(json.dumps(last).encode() + b"\n") + END
    return [*frames[:-1], replace(frames[-1], data=frames[-1].data + end, then="done")]


@scenario
def steady(ask: Ask) -> list[Frame]:
    """First token after ``first``, then one every ``gap``; usage in an event of its own; ``[DONE]``."""
    return _steady(replace(ask, prompt="", arrival_ns=0, head=""))


@scenario
def closes(ask: Ask) -> list[Frame]:
    """As steady, then closes the connection without having said so (llama.cpp)."""
    frames = steady(ask)
    return [*frames[:-1], replace(frames[-1], then="close")]


@scenario
def silent(ask: Ask) -> list[Frame]:
    """Never answers."""
    return [Frame(0, b"", then="hang")]


def answer(status: str, body: bytes, *headers: str) -> list[Frame]:
    """A plain answer with a length."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""])
    return [Frame(2 * MS, head.encode() + body, then="done")]


def error_body(message: str) -> bytes:
    """An error as OpenAI's servers word it."""
    return json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
