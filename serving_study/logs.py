"""Structured logging: readable lines on stderr, one JSON object a line in the job's file under ``logs/``."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog


def log_to(file: Path | None, command: str) -> None:
    """Send the log of this process to stderr and, if given, to ``file``."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        chain.append(_Copy(file.open("w", buffering=1)))
    chain.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0))
    structlog.configure(processors=chain, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    structlog.contextvars.bind_contextvars(command=command)


class _Copy:
    """A processor that also writes each event as one JSON line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self._file.write(str(self._render(logger, name, dict(event))) + "\n")
        return event
