"""Ports of servers: found free, and seen to be free just before use."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import psutil

from serving_study.study.errors import StudyError

LOOPBACK = "127.0.0.1"


def free(count: int = 1) -> int:
    """The first of ``count`` consecutive ports that nobody listens on.

    Below the range that the kernel draws outgoing connections from, so that no client takes one before its server does.
    """
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split()[0])
    top = max(lowest_outgoing, 20_000) - count
    draw = random.SystemRandom()
    for _ in range(200):
        first = draw.randrange(10_000, top)
        if all(_binds(port) for port in range(first, first + count)):
            return first
    raise StudyError(f"no {count} consecutive ports between 10000 and {top} are free. Next: name one in the study")


def must_be_free(port: int, server: str) -> None:
    """Raise StudyError that says who holds the port."""
    if not _binds(port):
        raise StudyError(
            f"server {server}: port {port} is taken by {_holder(port)}. "
            "Next: stop that process, or give the deployment another port (deployments.NAME.port)"
        )


def _binds(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    break
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({' '.join(process.cmdline())[:80] or process.name()})"
    except psutil.Error:
        pass
    return "a process of another user"
