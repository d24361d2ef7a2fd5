"""Locks between processes that the kernel gives back when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock on ``path``, which is made where it is missing and never removed.

    ``waiting`` is called once, with what the holder wrote of itself, when the lock is not free at once.
    A file of another user is only read: sticky folders refuse to open it for creation.
    """
    handle = _open(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting(path.read_text(encoding="utf-8").strip() or "another process")
            fcntl.flock(handle, fcntl.LOCK_EX)
        _sign(path)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, os.O_RDONLY)
    os.fchmod(handle, 0o666)
    return handle


def _sign(path: Path) -> None:
    if os.access(path, os.W_OK):
        path.write_text(f"process {os.getpid()}\n", encoding="utf-8")
