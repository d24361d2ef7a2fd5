"""What one event of a stream says: generated text, usage, how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

TEXT = ("content", "text", "response", "reasoning_content", "reasoning", "thinking")
"""Fields that hold generated text in a choice, its delta or an Ollama line; what a model thinks is generated, too."""

_TEXT = frozenset(TEXT)
_OLD_REASONING = "reasoning_content"
"""Servers that renamed it to ``reasoning`` send the same text under both names for a while."""
_DETAILS = "reasoning_details"
"""Reasoning in parts; routers send it beside ``reasoning``, with the same text."""
_OF_PARTS = ("text", "thinking", "summary")
"""Fields that hold the text of a part, where text comes as a list of parts."""
_FAILED = frozenset(("error", "abort"))
"""Finish reasons of answers that the server gave up."""


@dataclass(slots=True)
class Said:
    """What a stream said beside its text."""

    output_tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    finish: str | None = None
    finished: bool = False
    """It said that it ended: a finish reason, usage on its own, ``[DONE]`` or Ollama's ``done``."""
    failed: bool = False
    """It held an error."""


def parse(data: bytes) -> Any:
    """JSON; None if it is none.

    Strings may hold bytes that are no UTF-8 or half of a surrogate pair: both are kept as lone surrogates.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "surrogateescape"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def read(document: Any, said: Said) -> str:
    """Take in one event and return its generated text. Raises TypeError or AttributeError where it is not as agreed."""
    text = ""
    if document.get("error") or document.get("object") == "error":
        said.failed = True
    choices = document.get("choices")
    if choices:
        for choice in choices:
            if reason := choice.get("finish_reason"):
                said.finish = str(reason)
                said.finished = True
                said.failed = said.failed or said.finish in _FAILED
            text += _generated(choice.get("delta") or choice)
    elif choices is None and "done" in document:
        message = document.get("message")
        text = _generated(message if message is not None else document)
        if document["done"] is True:
            _done(document, said)
    if usage := document.get("usage"):
        _usage(usage, said)
        said.finished = said.finished or not choices
    if timings := document.get("timings"):
        said.cached_tokens = _natural(timings.get("cache_n"), said.cached_tokens)
    return text


def _generated(fields: dict[str, Any]) -> str:
    text = ""
    for name, value in fields.items():
        if name in _TEXT:
            if type(value) is list:
                text += _parts(value)
            elif type(value) is str and not (name == "reasoning" and fields.get(_OLD_REASONING) == value):
                text += value
        elif name == _DETAILS and type(value) is list:
            details = _parts(value)
            if details not in (fields.get("reasoning"), fields.get(_OLD_REASONING)):
                text += details
    return text


def _parts(parts: list[Any], nested: bool = False) -> str:
    """Text that comes as ``[{"type": "text", "text": ...}]``; what was thought may be such a list inside a part."""
    text = ""
    for part in parts:
        for name in _OF_PARTS if isinstance(part, dict) else ():
            value = part.get(name)
            if type(value) is str:
                text += value
            elif type(value) is list and not nested:
                text += _parts(value, nested=True)
    return text


def _usage(usage: dict[str, Any], said: Said) -> None:
    """OpenAI's usage, wherever it comes; the last one counts (some servers send a running one in every chunk)."""
    said.output_tokens = _natural(usage.get("completion_tokens"), said.output_tokens)
    said.prompt_tokens = _natural(usage.get("prompt_tokens"), said.prompt_tokens)
    details = usage.get("prompt_tokens_details")
    if details:
        said.cached_tokens = _natural(details.get("cached_tokens"), said.cached_tokens)


def _done(line: dict[str, Any], said: Said) -> None:
    """Ollama's last line."""
    said.finished = True
    said.finish = str(line["done_reason"]) if line.get("done_reason") else None
    said.output_tokens = _natural(line.get("eval_count"), said.output_tokens)
    said.prompt_tokens = _natural(line.get("prompt_eval_count"), said.prompt_tokens)
    said.cached_tokens = _natural(line.get("prompt_eval_cached_count"), said.cached_tokens)


def _natural(value: Any, otherwise: int | None) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 62 else otherwise
