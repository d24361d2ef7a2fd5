"""Sockets of the recorder: addresses, kernel stamps, TLS."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace

from serving_study.load.schedule import Planned
from serving_study.study.errors import StudyError

SO_TIMESTAMPNS = 35
CA_VARIABLE = "SSL_CERT_FILE"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers, resolved before the run."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    host: str
    context: ssl.SSLContext | None = None


Addresses = dict[tuple[str, int, bool], Address]
"""By host, port and whether TLS is spoken."""


def resolve(planned: Iterable[Planned]) -> Addresses:
    """The address of each server of the schedule; names are looked up once, never while measuring.

    Raises StudyError where a name has none. What comes back can go to another process; ``secured`` gives it TLS there.
    """
    return {target: _address(*target[:2]) for target in {(each.host, each.port, each.tls) for each in planned}}


def secured(addresses: Addresses) -> Addresses:
    """The same with a TLS context where TLS is spoken."""
    context = _tls_context() if any(tls for _, _, tls in addresses) else None
    return {target: replace(each, context=context if target[2] else None) for target, each in addresses.items()}


def _address(host: str, port: int) -> Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StudyError(f"http://{host}:{port}: the name {host!r} has no address ({error}): check the URL") from error
    family, _, _, _, sockaddr = next(
        (each for each in found if len(found) == 1 or _listens(each[0], each[4])), found[0]
    )
    return Address(socket.AddressFamily(family), sockaddr, host)  # type: ignore[arg-type]


def _listens(family: int, sockaddr: object) -> bool:
    """Whether anything accepts there: a name may stand for IPv4 and IPv6 while the server listens on one."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        with contextlib.suppress(OSError):
            probe.connect(sockaddr)  # type: ignore[arg-type]
            return True
    return False


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if os.environ.get(CA_VARIABLE):
        try:
            context.load_verify_locations(os.environ[CA_VARIABLE])
        except OSError as error:
            raise StudyError(f"environment variable {CA_VARIABLE}: no file of certificates ({error})") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def open_socket(address: Address) -> socket.socket:
    """A non-blocking socket with kernel receive stamps, not yet connected."""
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.context is None:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return sock
    return address.context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)


class Idle:
    """Connections kept open for the next request to the same server."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, bool], list[socket.socket]] = {}

    def give(self, planned: Planned, sock: socket.socket) -> None:
        """Keep the connection that ``planned`` has used."""
        self._idle.setdefault((planned.host, planned.port, planned.tls), []).append(sock)

    def take(self, planned: Planned) -> socket.socket | None:
        """A connection that is still open, or None."""
        idle = self._idle.get((planned.host, planned.port, planned.tls), [])
        while idle:
            sock = idle.pop()
            try:
                alive = socket.socket.recv(sock, 1, socket.MSG_PEEK) != b""
            except BlockingIOError:
                return sock
            except OSError:
                alive = False
            if alive and isinstance(sock, ssl.SSLSocket):
                return sock
            sock.close()
        return None

    def close(self) -> None:
        """Close all of them."""
        for sock in [sock for idle in self._idle.values() for sock in idle]:
            sock.close()


def stamp_keeper() -> socket.socket:
    """A socket that keeps the kernel stamping: it starts only some milliseconds after the first socket that asks."""
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    keeper.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return keeper


def allow_open_files(most: int) -> None:
    """Raise the soft limit of open files to the hard one, and have the kernel make room for ``most`` of them now.

    Its table of files doubles when it is full, and every thread of the process waits some 10 ms for that.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError):
        os.close(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, max(3, min(most, limit - 1))))
