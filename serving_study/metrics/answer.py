"""The body of one streamed answer to its generated text, its usage and how it ended."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving_study.metrics.documents import Said, parse, read
from serving_study.metrics.framing import Framing, JsonLines, ServerSent
from serving_study.metrics.repeats import learn

DIALECTS = ("openai-chat", "openai-completions", "ollama")

Counts = NDArray[np.int64]
NO_COUNTS: Counts = np.empty(0, np.int64)

_FIRST_LOOK = 1 << 14
_LONGEST_LOOK = 1 << 20
_PATIENCE = 4
"""Patterns in a row that were not worth it before a stream is read event by event."""
_WORTH_IT = 8
"""Further events that a pattern must fit."""


@dataclass(slots=True)
class Answer(Said):
    """What one stream said."""

    events: int = 0
    malformed: int = 0
    """Events that were not the JSON object that the dialect asks for."""
    ends: Counts = field(default_factory=lambda: NO_COUNTS)
    """Where each event ended in the body."""
    text: str = ""
    """All generated text in the order it came, reasoning included; bytes that are no UTF-8 become U+FFFD."""
    pieces: Counts = field(default_factory=lambda: NO_COUNTS)
    """Number of the event of each piece of text."""
    characters: Counts = field(default_factory=lambda: NO_COUNTS)
    """Characters that each piece completed."""
    octets: Counts = field(default_factory=lambda: NO_COUNTS)
    """Bytes of UTF-8 of each piece."""


def answer(dialect: str, body: bytes) -> Answer:
    """Read the body of an answer; nothing that a server sends raises."""
    framing: Framing = JsonLines if dialect == "ollama" else ServerSent
    plain = framing.plain(body)
    reader = _Reader(plain.body, framing)
    reader.run(plain.start)
    found = reader.found
    found.ends = plain.back(np.array(reader.ends, np.int64))
    found.events = len(reader.ends)
    texts = reader.texts
    if all(texts):
        found.pieces = np.arange(len(texts))
    else:
        found.pieces = np.flatnonzero(np.fromiter(map(bool, texts), bool, len(texts)))
        texts = [t for t in texts if t]
    _count(texts, found)
    return found


class _Reader:
    """Goes through a body event by event, and in leaps where events repeat."""

    def __init__(self, body: bytes, framing: Framing) -> None:
        self.body = body
        self.framing = framing
        self.found = Answer()
        self.texts: list[str] = []
        """Of each event; empty where it held none."""
        self.ends: list[int] = []

    def run(self, start: int) -> None:
        """Read from ``start`` to the end, or to ``[DONE]``. An event that is not closed counts only if it is whole."""
        body, end = self.body, self.framing.end
        patience, look = _PATIENCE, _FIRST_LOOK
        while start < len(body):
            stop = body.find(end, start)
            closed = stop >= 0
            block = body[start:stop] if closed else body[start:]
            start = stop + len(end) if closed else len(body)
            data = self.framing.data(block)
            if data is None:
                continue
            if data == b"[DONE]":
                self.found.finished = True
                return
            if not self._event(data, start, closed) or not patience or not closed:
                continue
            before = len(self.ends)
            leapt = self._leap(block, start, look)
            patience = _PATIENCE if len(self.ends) - before >= _WORTH_IT else patience - 1
            look = min(2 * look, _LONGEST_LOOK) if leapt - start > look // 2 else _FIRST_LOOK
            start = leapt

    def _event(self, data: bytes, end: int, closed: bool) -> bool:
        """Take in one event; True if it held text."""
        document = parse(data)
        if document is None and not closed:
            return False
        text = ""
        try:
            text = read(document, self.found)
        except (TypeError, AttributeError):
            self.found.malformed += 1
        self.texts.append(text)
        self.ends.append(end)
        return bool(text)

    def _leap(self, block: bytes, start: int, most: int) -> int:
        """Take in what repeats ``block``; where that ends."""
        pattern = learn(block, self.framing)
        if pattern is None:
            return start
        texts, ends = pattern.run(self.body, start, most)
        self.texts += texts
        self.ends += ends
        return ends[-1] if ends else start


def _count(texts: list[str], found: Answer) -> None:
    """Characters and bytes of each piece."""
    n = len(texts)
    found.text = "".join(texts)
    found.characters = np.fromiter(map(len, texts), np.int64, n)
    if found.text.isascii():
        found.octets = found.characters
        return
    try:
        found.octets = np.fromiter(map(len, map(str.encode, texts)), np.int64, n)
    except UnicodeEncodeError:
        _count_broken(texts, found)


def _count_broken(texts: list[str], found: Answer) -> None:
    """A character that pieces share is counted where it is completed; its bytes where they came."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    whole: list[str] = []
    octets: list[int] = []
    for last, text in ((i == len(texts) - 1, t) for i, t in enumerate(texts)):
        text, held = held + text, ""
        if not last and "\ud800" <= text[-1] <= "\udbff":
            text, held = text[:-1], text[-1]
        raw = _bytes(text)
        octets.append(len(raw))
        whole.append(decoder.decode(raw, final=last))
    found.text = "".join(whole)
    found.characters = np.fromiter(map(len, whole), np.int64, len(texts))
    found.octets = np.array(octets, np.int64)


def _bytes(text: str) -> bytes:
    """UTF-8 of text in which surrogate pairs are joined and escaped bytes are bytes again; a lone half becomes U+FFFD."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return b"".join(_byte(c) if "\ud800" <= c <= "\udfff" else c.encode() for c in joined)


def _byte(surrogate: str) -> bytes:
    return surrogate.encode("utf-8", "surrogateescape") if "\udc80" <= surrogate <= "\udcff" else b"\xef\xbf\xbd"
