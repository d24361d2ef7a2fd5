"""The wire recorder: sends the schedule and keeps every byte with its time. It reads nothing into the bytes.

One thread, one epoll. A read costs a system call, four appends to compact arrays and the framing of HTTP; parsing of
events waits until the run is over. The collector of garbage is off meanwhile.
"""

from __future__ import annotations

import errno
import heapq
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence

from serving_study.load.clock import Offsets, Timer, now
from serving_study.load.flight import Flight
from serving_study.load.payload import with_key
from serving_study.load.recording import ROOM, Chunks, Interrupted, Part, Recording, blot_out
from serving_study.load.schedule import order
from serving_study.load.transport import Address, Idle, allow_open_files, open_socket, stamp_keeper
from serving_study.load.undisturbed import ahead_of_others, without_garbage_collection

STAGGER_NS = 200_000
"""Closed loop: users begin one after the other, so that opening their connections is no burst."""
LEAD_NS = 5_000_000
TICK_NS = 250_000_000
BUSY = 2000
"""Reads per second from which the loop rests between reads: waking for each chunk takes CPU from the server beside it."""
REST_S = 0.001
"""The kernel stamps what arrives meanwhile; only chunks of one stream that come closer than this merge."""
FILES, CONNECTIONS = 256, 65_536
"""Open files beside connections, and connections at once, that are made room for."""
READS_AT_ONCE = 16
"""Reads of one socket before others have their turn."""
LARGEST_ANSWER = 64 << 20
"""Bytes of one answer above which it is given up (looked at a few times a second)."""
_UNDER_WAY = {errno.EINPROGRESS, errno.EAGAIN, errno.ENOTCONN}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}
_CONTROL = socket.CMSG_SPACE(16)
_NO_STAMP = bytes(16)
_RETURN = ord("\r")
"""Fourth from the end where a read may hold the end of an answer in chunks: an empty line after a line."""
_READING = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_ENDING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

Progress = Callable[[int, int], None]


class Recorder:
    """One worker's part of a point."""

    def __init__(
        self,
        recording: Recording,
        positions: Sequence[int],
        addresses: dict[tuple[str, int, bool], Address],
        key: str | None,
        progress: Progress | None,
    ) -> None:
        self.recording = recording
        self.addresses = addresses
        self.key = key
        self.progress = progress
        self.chunks = Chunks()
        self.offsets = Offsets()
        self.flights: dict[int, Flight] = {}
        self.in_flight: dict[int, Flight] = {}
        self.deadlines: list[tuple[int, int]] = []
        self.ready: deque[int] = deque()
        self.idle = Idle()
        self.total = self.left = len(positions)
        self.due, self.after = order(recording.planned, positions, STAGGER_NS)
        self.view = self.chunks.next_block()
        self.fill = 0
        self.armed = 0
        self.reads_before = 0
        self.start_ns = 0
        self.stamped = not any(each.tls for each in recording.planned)

    def run(self, start: Callable[[], int] | None = None) -> None:
        """Run to the end; fills the recording. ``start`` is asked, once all is ready, for the instant to start from."""
        allow_open_files(FILES + min(self.total, CONNECTIONS))
        keeper, self.timer, self.epoll = stamp_keeper(), Timer(), select.epoll()
        self.epoll.register(self.timer.fd, select.EPOLLIN)
        interrupted = False
        began = time.thread_time()
        try:
            with without_garbage_collection(), ahead_of_others():
                began = time.thread_time()
                self.start_ns = start() if start is not None else now() + LEAD_NS
                self._loop()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.recording.client_cpu_s += time.thread_time() - began
            self._close()
            keeper.close()
        self._seal()
        if interrupted:
            raise Interrupted(self.recording)

    def _loop(self) -> None:
        next_tick, rest_s = 0, 0.0
        self._on_time(now())
        while self.left:
            for fd in self._read_plain(self.epoll.poll(0 if self.ready else TICK_NS / 1e9, 1024)):
                self._on_event(fd)
            for _ in range(len(self.ready)):
                self._start(self.ready.popleft(), now())
            at = now()
            if at >= self.armed:
                self._on_time(at)
            if at >= next_tick:
                next_tick = at + TICK_NS
                rest_s = self._tick()
            if rest_s and self.left:
                time.sleep(max(0.0, min(rest_s, (self.armed - now()) / 1e9)))

    def _tick(self) -> float:
        """A few times a second: read the clocks, say how far it is, and decide how long to rest between reads."""
        self.offsets.read()
        for flight in [each for each in self.in_flight.values() if each.size > LARGEST_ANSWER]:
            self._finish(flight, "overflow", now())
        if self.progress is not None:
            self.progress(self.total - self.left, self.total)
        reads, self.reads_before = len(self.chunks.owner) - self.reads_before, len(self.chunks.owner)
        return REST_S if self.stamped and reads > BUSY * TICK_NS / 1e9 else 0.0

    def _read_plain(self, events: list[tuple[int, int]]) -> list[int]:
        """Keep what has arrived on plain sockets: all that runs for each chunk. Returns the events that are something else."""
        flights, chunks, clock = self.flights, self.chunks, now
        view, start, stamps = self.view, self.fill, self.chunks.stamps
        owner, received, ends = chunks.owner.append, chunks.received.append, chunks.ends.append
        others = []
        for fd, event in events:
            flight = flights.get(fd)
            if flight is None or flight.receive is None:
                others.append(fd)
                continue
            try:
                n, extra, _, _ = flight.receive([view[start:]], _CONTROL)
            except OSError as error:
                flight.broken = not isinstance(error, BlockingIOError)
                n = 0
            if not n:
                others.append(fd)
                continue
            at = clock()
            end = start + n
            owner(flight.position)
            received(at)
            ends(end)
            stamps += extra[0][2] if extra else _NO_STAMP
            flight.size += n
            if flight.in_chunks and n > 3 and view[end - 4] != _RETURN:
                flight.put_off.append(view[start:end])
            else:
                flight.follow(view[start:end])
            if flight.whole:
                self._finish(flight, "complete", at)
            elif event & _ENDING or end == len(view):
                others.append(fd)
            start = end
            if len(view) - end < ROOM:
                view, start = chunks.next_block(), 0
        self.view, self.fill = view, start
        return others

    def _on_event(self, fd: int) -> None:
        """What is no bytes on a plain socket: the timer, connecting, sending, TLS, the end of a connection."""
        flight = self.flights.get(fd)
        if flight is not None:
            if flight.reading:
                self._drain(flight)
            else:
                self._advance(flight)
        elif fd == self.timer.fd:
            self.timer.clear()

    def _on_time(self, at: int) -> None:
        """Start what is due, give up what is overdue, and set the timer for what comes next."""
        while self.due and self.start_ns + self.due[-1][0] <= at:
            offset, position = self.due.pop()
            self._start(position, self.start_ns + offset)
            at = now()
        while self.deadlines and (self.deadlines[0][0] <= at or self.deadlines[0][1] not in self.in_flight):
            flight = self.in_flight.get(heapq.heappop(self.deadlines)[1])
            if flight is not None:
                self._finish(flight, "deadline", at)
        upcoming = [self.start_ns + self.due[-1][0]] if self.due else []
        upcoming += [self.deadlines[0][0]] if self.deadlines else []
        self.armed = min(upcoming, default=at + TICK_NS)
        self.timer.at(self.armed)

    def _start(self, position: int, intended: int) -> None:
        planned = self.recording.planned[position]
        flight = Flight(position, planned)
        self.recording.intended[position] = intended
        self.in_flight[position] = flight
        deadline = intended + planned.deadline_ns
        heapq.heappush(self.deadlines, (deadline, position))
        if deadline < self.armed:
            self.armed = deadline
            self.timer.at(deadline)
        sock = self.idle.take(planned) if planned.connection == "pooled" else None
        if sock is None:
            self._open(flight)
            return
        flight.reused = True
        self._use(flight, sock)
        self.recording.connection[position] = "pooled"
        self._send(flight)

    def _open(self, flight: Flight) -> None:
        """Connect afresh. On loopback the connection often stands at once, so the request follows without waiting."""
        planned, position = flight.planned, flight.position
        address = self.addresses[planned.host, planned.port, planned.tls]
        self.recording.connection[position] = "fresh"
        self.recording.connect[position] = now()
        try:
            sock = open_socket(address)
        except OSError as error:
            self._finish(flight, _failure(error), now())
            return
        self._use(flight, sock)
        code = sock.connect_ex(address.sockaddr)
        if code and code not in _UNDER_WAY:
            self._finish(flight, _failure(OSError(code, "connect")), now())
        else:
            self._advance(flight)

    def _use(self, flight: Flight, sock: socket.socket) -> None:
        flight.begin(with_key(flight.planned.payload, self.key))
        flight.sock, flight.fd = sock, sock.fileno()
        flight.receive = None
        self.flights[flight.fd] = flight
        self.epoll.register(flight.fd, select.EPOLLOUT)

    def _advance(self, flight: Flight) -> None:
        """Connecting, shaking hands or sending: as far as it goes without waiting."""
        if self.recording.connected[flight.position] < 0 and not flight.reused:
            self._connected(flight)
        else:
            self._send(flight)

    def _connected(self, flight: Flight) -> None:
        code = flight.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._finish(flight, _failure(OSError(code, "connect")), now())
            return
        try:
            if isinstance(flight.sock, ssl.SSLSocket):
                flight.sock.do_handshake()
            else:
                flight.sock.getpeername()
        except ssl.SSLWantReadError:
            self.epoll.modify(flight.fd, select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self.epoll.modify(flight.fd, select.EPOLLOUT)
        except ssl.SSLError:
            self._finish(flight, "tls", now())
        except OSError as error:
            if error.errno not in _UNDER_WAY:
                self._finish(flight, _failure(error), now())
        else:
            self.recording.connected[flight.position] = now()
            self._send(flight)

    def _send(self, flight: Flight) -> None:
        if self.recording.sent[flight.position] < 0:
            self.recording.sent[flight.position] = now()
        try:
            flight.unsent = flight.unsent[flight.sock.send(flight.unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.epoll.modify(flight.fd, select.EPOLLIN | select.EPOLLOUT)
            self._read(flight)
            return
        except OSError:  # The server no longer reads; what it said before is still to be read.
            flight.unsent = flight.unsent[:0]
        if not flight.unsent:
            flight.reading = True
            if not isinstance(flight.sock, ssl.SSLSocket):
                flight.receive = flight.sock.recvmsg_into
            self.epoll.modify(flight.fd, select.EPOLLIN if flight.receive is None else _READING)

    def _drain(self, flight: Flight) -> None:
        """Read until nothing is left: an edge-triggered socket does not tell twice."""
        for _ in range(READS_AT_ONCE):
            if not self._read(flight) or flight.fd < 0:
                return
        self.epoll.modify(flight.fd, select.EPOLLIN if flight.receive is None else _READING)

    def _read(self, flight: Flight) -> bool:
        """Keep what has arrived, on any socket and with any end; False when there was nothing."""
        start = self.fill
        try:
            if flight.broken:
                raise ConnectionResetError
            if isinstance(flight.sock, ssl.SSLSocket):
                n, extra = flight.sock.recv_into(self.view[start:]), b""
            else:
                n, control, _, _ = flight.sock.recvmsg_into([self.view[start:]], _CONTROL)
                extra = control[0][2] if control else b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._lost(flight, "reset")
            return False
        at = now()
        if n == 0:
            self._lost(flight, "complete" if flight.whole_at_close() else "closed")
            return False
        self.chunks.owner.append(flight.position)
        self.chunks.received.append(at)
        self.chunks.ends.append(start + n)
        self.chunks.stamps += extra or _NO_STAMP
        self.fill = start + n
        flight.size += n
        flight.follow(self.view[start : self.fill])
        if len(self.view) - self.fill < ROOM:
            self.view, self.fill = self.chunks.next_block(), 0
        if flight.whole:
            self._finish(flight, "complete", at)
        return True

    def _lost(self, flight: Flight, outcome: str) -> None:
        """The connection ended. A pooled one that was closed before it answered is opened again; that is no failure."""
        if flight.reused and not flight.size:
            self._release(flight)
            flight.reused = False
            self.recording.sent[flight.position] = -1
            self._open(flight)
        else:
            self._finish(flight, outcome, now())

    def _finish(self, flight: Flight, outcome: str, at: int) -> None:
        position = flight.position
        self.recording.ended[position] = at
        self.recording.outcome[position] = outcome
        pooled = outcome == "complete" and flight.keep_alive and flight.planned.connection == "pooled"
        self._release(flight, keep=pooled)
        flight.drop_parser()
        del self.in_flight[position]
        self.left -= 1
        if position in self.after:
            self.ready.append(self.after[position])

    def _release(self, flight: Flight, keep: bool = False) -> None:
        if flight.fd < 0:
            return
        del self.flights[flight.fd]
        if keep:
            self.epoll.unregister(flight.fd)
            self.idle.give(flight.planned, flight.sock)
        else:
            flight.sock.close()
        flight.fd = -1

    def _close(self) -> None:
        for flight in list(self.flights.values()):
            flight.drop_parser()
            self._release(flight)
        self.idle.close()
        self.epoll.close()
        self.timer.close()

    def _seal(self) -> None:
        """The kernel's stamps on our clock; requests that never ended end here, and keep when the schedule wanted them."""
        self.offsets.read()
        at, recording, chunks = now(), self.recording, self.chunks
        for position, planned in enumerate(recording.planned):
            if recording.intended[position] < 0:
                offset = planned.offset_ns if self.start_ns else None
                recording.intended[position] = at if offset is None else self.start_ns + offset
            if recording.ended[position] < 0:
                recording.ended[position] = at
        recording.started_ns = min(recording.intended, default=at)
        if self.key:
            blot_out(chunks.blocks, self.key.encode())
        recording.parts.append(Part.of(chunks, self.offsets))


def _failure(error: OSError) -> str:
    """Outcome of a connection that never stood: the client ran out of files or ports, or the server refused."""
    return "exhausted" if error.errno in _EXHAUSTED else "refused"
