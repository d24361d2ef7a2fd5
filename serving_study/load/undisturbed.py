"""Measure undisturbed: no pauses of our own, and no waiting for a turn."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator


@contextlib.contextmanager
def ahead_of_others() -> Iterator[bool]:
    """This thread is woken before ordinary ones, where the machine allows it (CAP_SYS_NICE); says whether it does.

    It takes no more processor time than it would anyway, but takes it at once: with a server that keeps all processors
    busy, an ordinary thread waits some milliseconds for each turn. What the thread starts meanwhile is ordinary again.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, parameters)


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """No pauses: nothing is collected, and what lives already is not looked at."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
