"""INT and TERM while measuring: what was received is kept, and files are never left half written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

ENDING = {signal.SIGINT, signal.SIGTERM}


@dataclass(slots=True)
class Stop:
    """Which signal has come, if any."""

    number: int | None = None

    @property
    def status(self) -> int:
        """Exit status of a command that the signal ended, as a shell would put it; 0 without one."""
        return 0 if self.number is None else 128 + self.number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """INT and TERM raise KeyboardInterrupt, once: a further one does not cut the way out short. May be nested."""
    stop = Stop()

    def interrupt(number: int, _: FrameType | None) -> None:
        for other in ENDING:
            signal.signal(other, signal.SIG_IGN)
        stop.number = number
        raise KeyboardInterrupt

    handlers = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield stop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """INT and TERM wait until the end of the block; processes started inside begin with both blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
