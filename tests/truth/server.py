"""The known-truth server: one epoll loop, a timer of nanoseconds, and a log of each arrival and each write.

``python -m tests.truth.server [--first-ms 50] [--gap-ms 10] [--tls CERT KEY]`` prints its port. ``GET /truth/log``
gives the log of the requests that have ended since it was asked last.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import heapq
import itertools
import json
import select
import socket
import ssl
import struct
import time
from array import array
from collections.abc import Iterator
from typing import Any

from serving_study.load.clock import Timer, pair
from serving_study.load.undisturbed import ahead_of_others
from tests.truth import pitfalls  # noqa: F401
from tests.truth.frames import MS, SCENARIOS, Ask, Frame

now = time.monotonic_ns
SO_TIMESTAMPNS = 35
ANSWERED = ("/completions", "/api/chat", "/api/generate")


class Stream:
    """One connection: at most one request at a time."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.frames: Iterator[Frame] = iter(())
        self.frame: Frame | None = None
        self.unsent = b""
        self.arrival_ns = 0
        self.log: dict[str, Any] = {}
        self.sends = array("q")
        self.sent: list[Frame] = []


class Server:
    """Answers by the script of the model's name; its log is the truth."""

    def __init__(self, port: int, first_ns: int, gap_ns: int, certificate: tuple[str, str] | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.first_ns, self.gap_ns = first_ns, gap_ns
        self.context: ssl.SSLContext | None = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.streams: dict[int, Stream] = {}
        self.queue: list[tuple[int, int, Stream]] = []
        self.serial = itertools.count()
        self.finished: list[dict[str, Any]] = []
        self.timer, self.epoll = Timer(), select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.epoll.register(self.timer.fd, select.EPOLLIN)
        self.offset_ns = 0
        self.armed = 0

    def run(self) -> None:
        """Until killed."""
        gc.disable()
        next_offset = 0
        while True:
            for fd, _ in self.epoll.poll(0.25, 64):
                if fd == self.listener.fileno():
                    self._accept()
                elif fd == self.timer.fd:
                    self.timer.clear()
                    self.armed = 0
                elif fd in self.streams:
                    self._readable(self.streams[fd])
                if self.queue and self.queue[0][0] <= now():
                    self._send_due()
            self._send_due()
            if now() >= next_offset:
                monotonic, utc = pair()
                self.offset_ns = utc - monotonic
                next_offset = now() + 250 * MS

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock: Any = self.listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.context:
                    sock.settimeout(2)
                    try:
                        sock = self.context.wrap_socket(sock, server_side=True)
                    except OSError:
                        continue
                else:
                    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                sock.setblocking(False)
                self.streams[sock.fileno()] = Stream(sock)
                self.epoll.register(sock.fileno(), select.EPOLLIN)

    def _readable(self, stream: Stream) -> None:
        try:
            if self.context:
                data, extra = stream.sock.recv(65536), []
            else:
                data, extra, _, _ = stream.sock.recvmsg(65536, 64)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data, extra = b"", []
        if not data:
            self._end(stream, "peer closed", close=True)
            return
        if not stream.buffer:
            stream.arrival_ns = now()
        if extra:
            seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
            stream.arrival_ns = seconds * 1_000_000_000 + nanoseconds - self.offset_ns
        stream.buffer += data
        head, found, rest = bytes(stream.buffer).partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(rest) >= length:
            stream.buffer.clear()
            self._ask(stream, head.decode("latin-1"), rest[:length])

    def _ask(self, stream: Stream, head: str, content: bytes) -> None:
        method, path, _ = head.split(" ", 2)
        try:
            body = json.loads(content) if method == "POST" else None
        except ValueError:
            body = None
        if not isinstance(body, dict) or not path.endswith(ANSWERED):
            self._get(stream, path)
            return
        messages = body.get("messages") or [{"content": body.get("prompt", "")}]
        tokens = body.get("max_tokens") or body.get("max_completion_tokens")
        tokens = tokens or body.get("options", {}).get("num_predict") or 16
        prompt = messages[-1]["content"]
        prompt = prompt if isinstance(prompt, str) else json.dumps(prompt)
        ask = Ask(path, body.get("model", ""), prompt, int(tokens), self.first_ns, self.gap_ns, stream.arrival_ns, head)
        stream.log = {"prompt": prompt[:200], "model": ask.model, "head": head, "arrival_ns": stream.arrival_ns}
        stream.log["read_ns"] = now()
        stream.sends, stream.sent = array("q"), []
        stream.frames = iter(SCENARIOS.get(ask.model, SCENARIOS["steady"])(ask))
        self._next(stream)

    def _get(self, stream: Stream, path: str) -> None:
        body: Any = {}
        status = "404 Not Found"
        if path == "/truth/log":
            body, self.finished = self.finished, []
            body, status = [_plain(entry) for entry in body], "200 OK"
        elif path in ("/health", "/v1/models"):
            status = "200 OK"
            body = {
                "object": "list",
                "data": [{"id": name, "object": "model", "owned_by": "truth"} for name in SCENARIOS],
            }
        content = json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        stream.frames = iter([Frame(0, head.encode() + content, then="done")])
        stream.log = {}
        self._next(stream)

    def _next(self, stream: Stream) -> None:
        stream.frame = next(stream.frames, None)
        if stream.frame is None or stream.frame.then == "hang":
            return
        due = stream.arrival_ns + stream.frame.at_ns
        heapq.heappush(self.queue, (due, next(self.serial), stream))

    def _send_due(self) -> None:
        queue = self.queue
        for _ in range(256):
            if not queue or queue[0][0] > now():
                break
            self._send(heapq.heappop(queue)[2])
        if queue and queue[0][0] != self.armed:
            self.armed = queue[0][0]
            self.timer.at(self.armed)

    def _send(self, stream: Stream) -> None:
        frame = stream.frame
        if frame is None or stream.sock.fileno() < 0:
            return
        data = stream.unsent or frame.data
        if not stream.unsent:
            stream.sends.append(now())
            stream.sent.append(frame)
        try:
            sent = stream.sock.send(data) if data else 0
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._end(stream, "peer closed", close=True)
            return
        stream.unsent = data[sent:]
        if stream.unsent:
            heapq.heappush(self.queue, (now() + MS, next(self.serial), stream))
        elif frame.then == "go":
            self._next(stream)
        else:
            self._end(stream, frame.then, close=frame.then != "done")

    def _end(self, stream: Stream, how: str, close: bool) -> None:
        if stream.log:
            self.finished.append(stream.log | {"end": how, "sends": stream.sends, "frames": stream.sent})
        stream.log, stream.frame, stream.unsent = {}, None, b""
        if close and stream.sock.fileno() >= 0:
            if how == "reset":
                stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.streams.pop(stream.sock.fileno(), None)
            stream.sock.close()


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    frames = entry["frames"]
    return entry | {
        "sends": list(entry["sends"]),
        "texts": [frame.text for frame in frames],
        "tokens": [frame.tokens for frame in frames],
        "frames": len(frames),
    }


def main() -> None:
    """Serve on a free port and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-ms", type=float, default=50)
    parser.add_argument("--gap-ms", type=float, default=10)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    args = parser.parse_args()
    server = Server(args.port, round(args.first_ms * MS), round(args.gap_ms * MS), args.tls and tuple(args.tls))
    print(server.port, flush=True)
    with ahead_of_others():
        server.run()


if __name__ == "__main__":
    main()
