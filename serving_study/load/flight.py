"""One request on its way: where it stands, and when its answer is whole."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import httptools

from serving_study.load.schedule import Planned

NO_LONGER_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)
"""What the parser raises; an answer of 101 (another protocol from here on) is no error to it."""


class Flight:
    """A request between its send and its end; httptools calls it back while it reads the answer."""

    __slots__ = (
        "broken",
        "chunked",
        "fd",
        "feed",
        "framed",
        "headers_seen",
        "in_chunks",
        "keep_alive",
        "parser",
        "planned",
        "position",
        "put_off",
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
        self.chunked = False
        self.in_chunks = False
        """Within the body of an answer that comes in chunks, which ends with an empty line and nowhere else."""
        self.put_off: list[memoryview] = []
        """What came of the body since its framing was followed."""
        self.headers_seen = False
        self.keep_alive = False
        self.parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.feed: Callable[[memoryview | bytes], None] = self.parser.feed_data

    def follow(self, data: memoryview) -> None:
        """Follow the framing of the answer, through what was put off and ``data``; sets ``whole``."""
        try:
            if self.put_off:
                self.feed(b"".join(self.put_off))
                self.put_off.clear()
            self.feed(data)
        except NO_LONGER_HTTP:
            self.drop_parser()

    def whole_at_close(self) -> bool:
        """Whether an answer that ends with its connection is whole: it stated no length and came in no chunks."""
        return self.whole or (self.headers_seen and not self.framed)

    def drop_parser(self) -> None:
        """The parser and the flight refer to each other, and the collector of garbage is off while measuring."""
        self.parser = None
        self.feed = _ignore
        self.in_chunks = False
        self.put_off.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.framed = True
            self.chunked = value.lower().endswith(b"chunked")

    def on_headers_complete(self) -> None:
        """httptools: the body begins."""
        self.headers_seen = self._final()
        self.in_chunks = self.headers_seen and self.chunked

    def on_message_complete(self) -> None:
        """httptools: the answer is whole, unless it was an interim one (100 Continue)."""
        if self._final() and self.parser is not None:
            self.whole = True
            self.keep_alive = self.parser.should_keep_alive()

    def _final(self) -> bool:
        return self.parser is not None and self.parser.get_status_code() >= 200


def _ignore(_data: memoryview | bytes) -> None:
    """What is no HTTP is kept like all else, and followed no further."""
