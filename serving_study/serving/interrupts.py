"""INT, TERM, HUP and the death of the parent end a measuring job through its context managers."""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2


@contextmanager
def interruptible() -> Iterator[None]:
    """INT, TERM and HUP raise SystemExit in the main thread, once; a dying parent sends TERM.

    A KILL of Snakemake would leave its jobs, and they their servers, otherwise. A job that a shell put into the
    background heeds INT, too. May be nested.
    """

    def leave(number: int, _: FrameType | None) -> None:
        for other in STOPPING:  # a further one must not cut the way out short
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    handlers = {number: signal.signal(number, leave) for number in STOPPING}
    parents = _death_signal()
    die_with_parent(signal.SIGTERM)
    try:
        yield
    finally:
        die_with_parent(parents)
        if signal.getsignal(signal.SIGTERM) is leave:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def pass_on_to_jobs() -> None:
    """INT and TERM of this process end its jobs, too, before they do what they did.

    Snakemake, told to stop by anything but a terminal, would wait until the running job has measured its cell.
    """

    def pass_on(number: int, frame: FrameType | None) -> None:
        for job in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                job.terminate()
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    handlers = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process ``number`` when the thread that started it ends; 0 takes it back."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))


def _death_signal() -> int:
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(number))
    return number.value
