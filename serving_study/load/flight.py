"""One request on its way: where it stands, and when its answer is whole."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import httptools

from serving_study.load.schedule import Planned


class Flight:
    """A request between its send and its end; httptools calls it back while it reads the answer."""

    __slots__ = (
        "address",
        "broken",
        "fd",
        "feed",
        "framed",
        "headers_seen",
        "keep_alive",
        "parser",
        "planned",
        "position",
        "reading",
        "receive",
        "reused",
        "size",
        "sock",
        "unsent",
        "whole",
    )

    def __init__(self, position: int, planned: Planned) -> None:
        self.position = position
        self.planned = planned
        self.sock: socket.socket | ssl.SSLSocket
        self.receive: Any = None
        """``recvmsg_into`` of a plain socket whose request is sent; else None."""
        self.fd = -1
        self.reused = False
        self.size = 0
        self.begin(b"")

    def begin(self, wire: bytes) -> None:
        """Start over on a connection: nothing sent, nothing answered."""
        self.unsent = memoryview(wire)
        self.reading = False
        self.broken = False
        self.whole = False
        self.framed = False
        self.headers_seen = False
        self.keep_alive = False
        self.parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.feed: Callable[[memoryview], None] = self.parser.feed_data
        """Follows the framing of the answer and sets ``whole``; raises where it is no HTTP."""

    def whole_at_close(self) -> bool:
        """Whether an answer that ends with its connection is whole: it stated no length and came in no chunks."""
        return self.whole or (self.headers_seen and not self.framed)

    def drop_parser(self) -> None:
        """The parser and the flight refer to each other, and the collector of garbage is off while measuring."""
        self.parser = None
        self.feed = _ignore

    def on_header(self, name: bytes, _value: bytes) -> None:
        """httptools: one header."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.framed = True

    def on_headers_complete(self) -> None:
        """httptools: the body begins."""
        self.headers_seen = self._final()

    def on_message_complete(self) -> None:
        """httptools: the answer is whole, unless it was an interim one (100 Continue)."""
        if self._final() and self.parser is not None:
            self.whole = True
            self.keep_alive = self.parser.should_keep_alive()

    def _final(self) -> bool:
        return self.parser is not None and self.parser.get_status_code() >= 200


def _ignore(_data: memoryview) -> None:
    """What is no HTTP is kept like all else, and followed no further."""
