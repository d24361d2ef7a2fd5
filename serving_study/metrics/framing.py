"""How the body of a streamed answer is cut into events: server-sent events, or one JSON document a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CRLF = re.compile(rb"\r\n")
_ANY_BREAK = re.compile(rb"\r\n?")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Plain(NamedTuple):
    """A body with LF for every line break, and the way back."""

    body: bytes
    start: int
    """Where its first event begins."""
    pairs: NDArray[np.int64] | None
    """Places of the LFs that were CRLF; None when nothing was changed."""

    def back(self, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions after events in ``body`` to positions in what the server sent."""
        return ends if self.pairs is None else ends + np.searchsorted(self.pairs, ends, "left")


class ServerSent:
    """Server-sent events (WHATWG HTML, 9.2): LF, CR or CRLF; comments, ``id``, ``event`` and ``retry`` are passed over.

    An event called ``error`` and an ``error:`` field, which some servers send, become the document ``{"error": true}``.
    """

    end = b"\n\n"
    lead = b"data: "

    @staticmethod
    def plain(body: bytes) -> Plain:
        """LF for CR and CRLF; a byte order mark is skipped."""
        start = len(_BYTE_ORDER_MARK) if body.startswith(_BYTE_ORDER_MARK) else 0
        if b"\r" not in body:
            return Plain(body, start, None)
        pairs = np.fromiter((m.start() for m in _CRLF.finditer(body)), np.int64)
        return Plain(_ANY_BREAK.sub(b"\n", body), start, pairs - np.arange(len(pairs)))

    @staticmethod
    def data(block: bytes) -> bytes | None:
        """The data of one event; None when it has none."""
        if block[:6] == b"data: " and b"\n" not in block:
            return block[6:].strip() or None
        fields = list(_fields(block))
        if any(_tells_error(name, value.strip()) for name, value in fields):
            return b'{"error":true}'
        return b"\n".join(value for name, value in fields if name == b"data").strip() or None


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        yield name, value.removeprefix(b" ")


def _tells_error(name: bytes, value: bytes) -> bool:
    return value == b"error" if name == b"event" else name == b"error" and value not in (b"", b"null")


class JsonLines:
    """One JSON document a line, as Ollama's own interface streams them; blank lines are passed over."""

    end = b"\n"
    lead = b""

    @staticmethod
    def plain(body: bytes) -> Plain:
        """As it is: CR is white space of JSON."""
        return Plain(body, 0, None)

    @staticmethod
    def data(block: bytes) -> bytes | None:
        """The document of one line; None for a blank one."""
        return block.strip() or None


Framing = type[ServerSent] | type[JsonLines]
