"""One live run a checkout: what a killed run left locked is unlocked by the next one, and only then."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_held: list[int] = []


def take_over(folder: Path = Path(".snakemake")) -> bool:
    """Hold this checkout for as long as this process lives; true when it is now ours.

    Snakemake's own lock is files that survive a KILL. Ours is the kernel's, which does not: whoever gets it while such
    files lie there knows that their owner is gone, and removes them. Held by another live run, nothing is touched.
    """
    folder.mkdir(exist_ok=True)
    file = os.open(folder / "serving-study.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    _held.append(file)
    for stale in (folder / "locks").glob("*"):
        stale.unlink(missing_ok=True)
    return True
