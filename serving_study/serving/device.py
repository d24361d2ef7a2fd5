"""Measuring alone: one job at a time on this host, whatever Snakemake, clone or user it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from serving_study.serving.flock import held

LOCK = Path("/tmp/llm-serving-study.measuring")
"""The same for all users: ``TMPDIR`` is not asked."""

log = structlog.get_logger()


@contextmanager
def measuring_alone(lock: Path = LOCK) -> Iterator[None]:
    """Wait until nobody else measures on this host; the lock falls with this process, however it ends."""

    def waiting(holder: str) -> None:
        log.info("waiting until another measurement on this host is done", holder=holder, lock=str(lock))

    with held(lock, waiting):
        yield
