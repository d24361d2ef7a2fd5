"""What one request got: tokens by the server's count, text by ours, and how it ended."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from serving_study.metrics.answer import Counts
from serving_study.metrics.metric import metric
from serving_study.metrics.request import Request


@metric("output_tokens", unit="token", needs=("chunks",), better="neither")
def output_tokens(request: Request) -> int | None:
    """Tokens generated, by the server's usage; never counted from chunks. Reasoning is part of it."""
    return request.answer.output_tokens


@metric("prompt_tokens", unit="token", needs=("chunks",), better="neither")
def prompt_tokens(request: Request) -> int | None:
    """Tokens of the prompt by the server's usage, its chat template and the nonce included."""
    return request.answer.prompt_tokens


@metric("cached_tokens", unit="token", needs=("chunks",), better="neither")
def cached_tokens(request: Request) -> int | None:
    """Prompt tokens that came from a prefix cache, by the server's usage or llama.cpp's timings; None if it does not say."""
    return request.answer.cached_tokens


@metric("prompt_chars", unit="character", needs=("payload",), better="neither")
def prompt_characters(request: Request) -> int | None:
    """Characters (Unicode code points) of the prompt as sent, its nonce included and the chat template not."""
    return request.prompt_characters


@metric("output_chars", unit="character", needs=("chunks",), better="neither")
def output_characters(request: Request) -> int:
    """Characters (Unicode code points) of generated text; one that several chunks share counts once, where it is complete."""
    return int(request.answer.characters.sum())


@metric("output_bytes", unit="byte", needs=("chunks",), better="neither")
def output_bytes(request: Request) -> int:
    """Bytes of generated text in UTF-8."""
    return int(request.answer.octets.sum())


@metric("window_chars", unit="character", needs=("chunks", "windows"), better="neither")
def window_characters(request: Request) -> int:
    """Characters of generated text that arrived inside the measuring window."""
    return _inside(request, request.answer.characters)


@metric("window_bytes", unit="byte", needs=("chunks", "windows"), better="neither")
def window_bytes(request: Request) -> int:
    """Bytes of generated text that arrived inside the measuring window."""
    return _inside(request, request.answer.octets)


@metric("chunks", unit="1", needs=("chunks",), better="neither")
def chunks(request: Request) -> int:
    """Arrivals that completed generated text. Not tokens: one may hold many, and one token may need two."""
    return len(request.chunk_at)


@metric("finish", unit="name", needs=("chunks",), better="neither")
def finish(request: Request) -> str | None:
    """The server's finish reason (``stop``, ``length`` ...)."""
    return request.answer.finish


@metric("error", unit="name", needs=("outcome", "chunks"), better="neither")
def error(request: Request) -> str | None:
    """Why the request does not count as answered; None when it does. The codes stand below."""
    return request.error


@metric("measured", unit="1", needs=("intended_ns", "windows"), better="neither")
def measured(request: Request) -> bool:
    """It was intended inside the measuring window: not during the ramp."""
    return request.measured


_SCRIPTS = {
    "ko": ((0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3130, 0x318F)),
    "zh": ((0x4E00, 0x9FFF), (0x3400, 0x4DBF)),
    "en": ((0x41, 0x5A), (0x61, 0x7A)),
}
"""Language to the ranges of its script."""


@cache
def _script(language: str) -> NDArray[np.bool_]:
    """Which code points of the basic plane are of the language's script."""
    found = np.zeros(1 << 16, bool)
    for first, last in _SCRIPTS[language]:
        found[first : last + 1] = True
    return found


@cache
def _letters() -> NDArray[np.bool_]:
    """Which code points of the basic plane are letters."""
    return np.fromiter((chr(code).isalpha() for code in range(1 << 16)), bool, 1 << 16)


@metric("text_language_ok", unit="1", needs=("chunks", "language"), better="neither")
def text_language_ok(request: Request) -> bool | None:
    """At least half of the letters are of the language's script, and none is broken (U+FFFD).

    Known for English (Latin), Chinese (Han) and Korean (Hangul); None for other languages and for text without letters.
    It judges no quality: a small model may answer a Korean question in English, and a reader should know.
    """
    language, text = str(request.row["language"]), request.answer.text
    if language not in _SCRIPTS:
        return None
    codes = np.frombuffer(text.encode("utf-16-le"), np.uint16)
    letters = int(_letters()[codes].sum())
    if not letters:
        return None
    return "\ufffd" not in text and 2 * int(_script(language)[codes].sum()) >= letters


def _inside(request: Request, amounts: Counts) -> int:
    span, at = request.span, request.text_at
    if span is None or not len(at):
        return 0
    if span.measured_from <= at[0] and at[-1] <= span.ended:
        return int(amounts.sum())
    return int(amounts[(at >= span.measured_from) & (at <= span.ended)].sum())
