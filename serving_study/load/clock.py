"""One clock for everything: CLOCK_MONOTONIC in integer nanoseconds."""

from __future__ import annotations

import ctypes
import os
import time
from array import array

import numpy as np
import numpy.typing as npt

now = time.monotonic_ns

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Timer:
    """A file that becomes readable at an absolute instant; epoll's own timeout is rounded to a millisecond."""

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = (ctypes.c_long * 4)()

    def at(self, when_ns: int) -> None:
        """Fire once at ``when_ns``; an instant that has passed fires at once."""
        self._spec[2], self._spec[3] = divmod(max(when_ns, 1), 1_000_000_000)
        if _libc.timerfd_settime(self.fd, _ABSOLUTE, self._spec, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Take note that it fired."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the file back."""
        os.close(self.fd)


def pair() -> tuple[int, int]:
    """One instant on both clocks, (monotonic, UTC) in ns: the tightest of five tries."""
    best: tuple[int, int, int] | None = None
    for _ in range(5):
        before = now()
        utc = time.time_ns()
        width = now() - before
        if best is None or width < best[0]:
            best = (width, before + width // 2, utc)
    assert best is not None
    return best[1], best[2]


class Offsets:
    """The UTC clock against the monotonic one, read again and again: the kernel stamps packets in UTC."""

    def __init__(self) -> None:
        self._monotonic = array("q")
        self._utc = array("q")

    def read(self) -> None:
        """Note the offset now."""
        monotonic, utc = pair()
        self._monotonic.append(monotonic)
        self._utc.append(utc)

    def monotonic(self, utc: npt.NDArray[np.int64], about: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """UTC stamps as monotonic ones; ``about`` are monotonic times near them. UTC may have been slewed meanwhile."""
        at = np.frombuffer(self._monotonic, dtype=np.int64)
        offset = np.frombuffer(self._utc, dtype=np.int64) - at
        drift = np.interp(about, at, (offset - offset[0]).astype(np.float64))
        monotonic: npt.NDArray[np.int64] = utc - offset[0] - np.rint(drift).astype(np.int64)
        return monotonic

    def step_ns(self) -> int:
        """Largest change of the offset between two readings: tells a clock that was set from one that is slewed."""
        offset = np.frombuffer(self._utc, dtype=np.int64) - np.frombuffer(self._monotonic, dtype=np.int64)
        return int(np.abs(np.diff(offset)).max(initial=0))
