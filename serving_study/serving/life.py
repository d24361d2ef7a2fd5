"""The life of a deployment's servers: start, wait until ready, watch, stop. Nothing outlives its job.

Each server stands under a guard (see ``guard.py``) that ends it when the job asks or dies. INT, TERM and HUP lead
through the same door as an error does. Servers that the study calls external are neither started nor stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from serving_study.engines.base import Server, ServerSpec
from serving_study.serving import advice, ports
from serving_study.serving.interrupts import STOPPING, interruptible
from serving_study.study.errors import StudyError

GUARD = Path(__file__).with_name("guard.py")
HURRY_S = 2.5
"""Patience with a server when the job was interrupted."""
SEEN_DEAD_S = 0.5
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
KEPT_PREFIXES = ("CUDA_", "NVIDIA_", "XDG_", "SSL_")

log = structlog.get_logger()


@dataclass(slots=True)
class _Running:
    """A started server, its guard, and what tells it from another process of the same number."""

    server: Server
    guard: subprocess.Popen[bytes]
    process: psutil.Process


@dataclass(slots=True)
class Life:
    """Servers that are up."""

    servers: dict[str, Server] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ready_after_ns: dict[str, int] = field(default_factory=dict)
    """Server to the time from its start to its first complete answer; external servers are left out."""
    _running: dict[str, _Running] = field(default_factory=dict)

    def check(self, patience_s: float = 0.0) -> None:
        """Raise StudyError for the first server that died or is no longer the process that was started.

        ``patience_s`` gives a server whose connections broke the time to be seen dead.
        """
        for name, running in self._running.items():
            if _gone(running, patience_s):
                raise StudyError(advice.died(name, running.server, _status(running.guard), "while it was in use"))


@contextlib.contextmanager
def life(specs: Sequence[ServerSpec], log_folder: Path, ready: Callable[[Server], None]) -> Iterator[Life]:
    """Start the servers one after the other, each until ``ready`` returns; check them after use; stop them.

    ``ready`` blocks until the server answers and raises TimeoutError or ConnectionError when it will not. Logs go to
    ``log_folder/SERVER.log``. Raises StudyError that names the server, its last log lines and what to try when a port is
    taken, a server dies before it is ready or while in use, or is not ready in time. To be called from the main thread:
    the kernel ties the servers to the thread that started them, and signals reach that one.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("life() belongs into the main thread")
    log_folder.mkdir(parents=True, exist_ok=True)
    alive = Life()
    with interruptible():
        try:
            for spec in specs:
                if not spec.external:
                    ports.must_be_free(spec.port, spec.name)
            for spec in specs:
                _bring_up(alive, spec, log_folder, ready)
            with _explained(alive):
                yield alive
            alive.check()
        finally:
            _stop(alive, hurry=isinstance(sys.exception(), SystemExit | KeyboardInterrupt))


@contextlib.contextmanager
def _explained(alive: Life) -> Iterator[None]:
    """An error of the measurement gives way to the death of a server that caused it."""
    try:
        yield
    except Exception:
        alive.check(SEEN_DEAD_S)
        raise


def _bring_up(alive: Life, spec: ServerSpec, log_folder: Path, ready: Callable[[Server], None]) -> None:
    begun = time.monotonic_ns()
    running = None
    if spec.url is not None:
        server = alive.servers[spec.name] = Server(spec, spec.url, None, None)
    else:
        running = _start(alive, spec, log_folder / f"{spec.name}.log")
        server = running.server
        log.info("starting", server=spec.name, pid=server.pid, port=spec.port, log=str(server.log))
    try:
        ready(server)
    except (TimeoutError, ConnectionError) as problem:
        if running is not None and _gone(running, SEEN_DEAD_S):
            status = _status(running.guard)
            raise StudyError(advice.died(spec.name, server, status, "before it was ready")) from problem
        raise StudyError(advice.not_ready(spec.name, server, str(problem))) from problem
    if running is not None:
        alive.ready_after_ns[spec.name] = time.monotonic_ns() - begun
    log.info("ready", server=spec.name, seconds=round((time.monotonic_ns() - begun) / 1e9, 1))


def _start(alive: Life, spec: ServerSpec, log_file: Path) -> _Running:
    """The server under its guard, and in ``alive`` before any signal can come between."""
    told, tell = os.pipe()
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(spec.stop_timeout_s), str(tell), "--"]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        with log_file.open("wb") as file:
            process = subprocess.Popen(
                [*guard, *spec.argv],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(spec),
                start_new_session=True,
                pass_fds=(tell,),
            )
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            pid = int(pipe.read() or 0)
        server = Server(spec, f"http://{ports.LOOPBACK}:{spec.port}", pid, log_file)
        try:
            running = _Running(server, process, psutil.Process(pid))
        except psutil.NoSuchProcess:
            raise StudyError(advice.died(spec.name, server, process.wait(), "as it was started")) from None
        alive._running[spec.name] = running
        alive.servers[spec.name] = server
        return running
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def environment(spec: ServerSpec) -> dict[str, str]:
    """What the server sees: a few names of this process, and the study's.

    A variable that happens to be set in somebody's shell (``OLLAMA_NUM_PARALLEL``, ``VLLM_...``, a key) must neither
    change a study nor reach a server.
    """
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}
    return {**kept, **spec.environment}


def _gone(running: _Running, patience_s: float) -> bool:
    """Whether the server ended; waits for that at most ``patience_s``."""
    end = time.monotonic() + patience_s
    while _runs(running.process) and running.guard.poll() is None:
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _status(guard: subprocess.Popen[bytes]) -> int | None:
    try:
        return guard.wait(5)
    except subprocess.TimeoutExpired:
        return None


def _stop(alive: Life, hurry: bool) -> None:
    """Stop all servers at once, the patient way or in a hurry; signals wait until it is done."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    begun = time.monotonic()
    try:
        for running in alive._running.values():
            running.guard.terminate()
        for name, running in alive._running.items():
            try:
                running.guard.wait(max(0.0, begun + HURRY_S - time.monotonic()) if hurry else None)
            except subprocess.TimeoutExpired:
                running.guard.terminate()
                running.guard.wait()
            log.info("stopped", server=name, seconds=round(time.monotonic() - begun, 1))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
