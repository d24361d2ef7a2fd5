"""Small real processes that behave as servers do on a bad day."""

from __future__ import annotations

import socket
import sys
import textwrap
import time

import psutil

from serving_study.engines.base import Server, ServerSpec
from serving_study.serving import ports

LISTEN = """
import http.server, sys
print("serving", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + LISTEN
BROKEN = "import sys; print('loading weights'); sys.exit('CUDA error: out of memory')"
PARENT = """
import os, signal, subprocess, sys
# a child in a session of its own that ignores TERM: nothing but adoption finds it again
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"], start_new_session=True)
""" + LISTEN  # fmt: skip


def spec(code: str, name: str = "server", **more: object) -> ServerSpec:
    """A server that runs ``code`` with its port as the argument."""
    port = ports.free()
    argv = (sys.executable, "-c", textwrap.dedent(code), str(port))
    return ServerSpec(name, ("model",), port, argv, **{"start_timeout_s": 60.0, "stop_timeout_s": 5.0, **more})  # type: ignore[arg-type]


def listens(server: Server) -> None:
    """Ready for these: somebody accepts connections; the errors are those of ``wait_until_ready``."""
    end = time.monotonic() + server.spec.start_timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.spec.port), 1).close()
            return
        except OSError as problem:
            if not psutil.pid_exists(server.pid or 0):
                raise ConnectionError("gone") from problem
            if time.monotonic() > end:
                raise TimeoutError("does not listen") from problem
            time.sleep(0.02)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def still_there(processes: list[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Those that still run after ``patience_s`` (zombies that only wait to be collected do not count)."""
    end = time.monotonic() + patience_s
    while (left := [p for p in processes if _runs(p)]) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
