"""Wire bytes of one request to its HTTP answer, keeping which arrival brought each byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httptools
import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
NONE: Times = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Wire:
    """All bytes that one request received, cut as they arrived."""

    data: bytes
    ends: Sequence[int]
    """Where each arrival ends in ``data``."""
    received: Times
    """When the client read each arrival, in ns."""
    kernel: Times | None
    """When the kernel had each arrival; None unless it said so for all of them."""

    @property
    def arrived(self) -> Times:
        """When each arrival was there to be read, in ns: by the kernel where it says, else by the client.

        Bytes cannot be read before those ahead of them, so a time never lies before the one of an earlier arrival.
        """
        return np.maximum.accumulate(self.received if self.kernel is None else self.kernel)


NOTHING = Wire(b"", (), NONE, NONE)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int | None
    """None when no status line came."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    """Transfer coding taken off."""
    ends: NDArray[np.int64]
    """Length of the body after each arrival."""
    complete: bool
    """The answer's own framing says that all of it came; an answer without framing ends with the connection."""
    framed: bool
    """It has a length or is chunked."""
    broken: bool
    """The bytes are not HTTP."""


class _Listener:
    """Callbacks of the HTTP parser; ``on_body`` is the list's own append, the fastest callback there is.

    Interim answers (1xx) are passed over; what follows the answer does not belong to the request.
    """

    __slots__ = ("complete", "fresh", "headers", "kept", "on_body", "parser", "parts", "status")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.on_body = self.parts.append
        self.headers: dict[str, str] = {}
        self.fresh: dict[str, str] = {}
        self.status: int | None = None
        self.complete = False
        self.kept: int | None = None
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.fresh = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fresh[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self.complete:
            self.status, self.headers = self.parser.get_status_code(), self.fresh

    def on_message_complete(self) -> None:
        if not self.complete and self.status is not None and self.status >= 200:
            self.complete = True
            self.kept = len(self.parts)


def reply(wire: Wire) -> Reply:
    """Parse the answer; whatever is wrong with it is told by the fields, never raised."""
    listener = _Listener()
    feed, parts = listener.parser.feed_data, listener.parts
    counts: list[int] = []
    data = memoryview(wire.data)
    start = 0
    broken = False
    try:
        for end in wire.ends:
            feed(data[start:end])
            start = end
            counts.append(len(parts))
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        broken = not listener.complete
        counts += [len(parts)] * (len(wire.ends) - len(counts))
    del listener.parser  # they hold each other, and with them all that was received
    if listener.kept is not None and listener.kept < len(parts):
        del parts[listener.kept :]
        counts = [min(count, listener.kept) for count in counts]
    headers = listener.headers
    framed = "content-length" in headers or "transfer-encoding" in headers
    return Reply(listener.status, headers, b"".join(parts), _lengths(parts, counts), listener.complete, framed, broken)


def _lengths(parts: list[bytes], counts: list[int]) -> NDArray[np.int64]:
    """Bytes of body after each arrival, from the parts and how many had come by then."""
    total = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=total[1:])
    return total[np.fromiter(counts, np.int64, len(counts))]
