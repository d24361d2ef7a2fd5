"""What a point gathers over its requests while they pass by, so that none of them is kept: gaps and the flow of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from serving_study.load.record import Window
from serving_study.metrics.answer import Answer
from serving_study.metrics.request import Request
from serving_study.metrics.steadiness import WINDOWS
from serving_study.metrics.wire import NONE, Times

Key = tuple[str, str]
"""Workload and model."""


_TOGETHER = 512
"""Requests folded at once: a few large steps are cheaper than many small ones."""


@dataclass(slots=True)
class Flow:
    """Eight bytes a chunk and nothing else that grows with them."""

    edges: Times
    """Bounds of the equal time windows, from the end of the ramp to the last intended send."""
    _tokens: NDArray[np.float64] = field(default_factory=lambda: np.zeros(WINDOWS))
    _gaps: list[Times] = field(default_factory=list)
    _waiting: list[Request] = field(default_factory=list)
    gap_requests: int = 0
    """Requests that have a gap between chunks."""

    def add(self, request: Request) -> None:
        """Take in an answered request."""
        self._waiting.append(request)
        if len(self._waiting) == _TOGETHER:
            self._fold()

    def tokens(self) -> NDArray[np.float64]:
        """Tokens that arrived in each time window."""
        self._fold()
        return self._tokens

    def gaps(self) -> Times:
        """Every gap between chunks of a measured request."""
        self._fold()
        return np.concatenate(self._gaps) if self._gaps else NONE

    def _fold(self) -> None:
        waiting, self._waiting = self._waiting, []
        chunked = [r.chunk_at for r in waiting if r.measured and len(r.chunk_at) > 1]
        if chunked:
            between = np.cumsum([len(at) for at in chunked])[:-1] - 1
            self._gaps.append(np.delete(np.diff(np.concatenate(chunked)), between))
            self.gap_requests += len(chunked)
        counted = [r for r in waiting if r.answer.output_tokens is not None]
        if counted and len(self.edges):
            at = np.concatenate([r.text_at for r in counted])
            tokens = np.concatenate([_spread(r.answer) for r in counted])
            window = np.searchsorted(self.edges, at, "right") - 1
            inside = (window >= 0) & (window < WINDOWS)
            self._tokens += np.bincount(window[inside], tokens[inside], WINDOWS)


def _spread(answer: Answer) -> NDArray[np.float64]:
    """The tokens of an answer over its pieces of text, by characters."""
    total = int(answer.characters.sum())
    share = (answer.output_tokens or 0) / total if total else 0.0
    return np.multiply(answer.characters, share, dtype=np.float64)


def flows(windows: Mapping[Key, Window], requests: pa.Table) -> dict[Key, Flow]:
    """An empty flow for each point of a cell; requests that an interrupt left unsent have no part in it."""
    last: dict[Key, int] = {}
    columns = (requests[name].to_pylist() for name in ("workload", "model", "intended_ns"))
    for workload, model, intended in zip(*columns, strict=True):
        key = (str(workload), str(model))
        last[key] = max(last.get(key, 0), int(intended or 0))
    return {
        key: Flow(_edges(window.measured_from_ns, min(last.get(key, 0), window.ended_ns)))
        for key, window in windows.items()
    }


def _edges(start: int, end: int) -> Times:
    if end - start < WINDOWS:
        return NONE
    return np.array([start + (end - start) * i // WINDOWS for i in range(WINDOWS + 1)], np.int64)
