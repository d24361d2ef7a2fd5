"""One point as the point metrics see it: its requests' columns, its window, and what was read beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving_study.load.record import Window
from serving_study.metrics.wire import NONE, Times
from serving_study.study.types import Limits, Slo, Workload

Column = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Readings:
    """One series of ``telemetry.parquet`` in order of time."""

    source: str
    server: str
    name: str
    times: Times
    values: NDArray[np.float64]

    def between(self, start: int, end: int) -> NDArray[np.float64]:
        """Values read from ``start`` to ``end``."""
        return self.values[(self.times >= start) & (self.times <= end)]


@dataclass(frozen=True, slots=True)
class Judging:
    """What a point is judged by: it changes no measurement."""

    slos: Mapping[str, Slo] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Point:
    """A workload on one model in one life."""

    workload: str
    model: str
    window: Window
    spec: Workload | None
    """As the cell's plan has it; None outside a study."""
    template_tokens: int | None
    """Length of the chat template's fixed beginning; None outside a study."""
    table: pa.Table
    """Rows of ``metrics.parquet`` of this point."""
    model_table: pa.Table
    """Rows of the same model in all of the cell."""
    gaps: Times
    """Times between successive chunks of generated text, of measured and answered requests."""
    gap_requests: int
    """Requests that have such a gap."""
    flow: NDArray[np.float64]
    """Tokens that arrived in each of the equal time windows between the ramp and the last intended send."""
    servers: tuple[str, ...]
    alone: bool
    """No other model of the window asked the same servers."""
    recorded: int
    """Requests of the window that were recorded and not cut off before their send, those of all its models."""
    readings: tuple[Readings, ...]
    judging: Judging

    @property
    def seconds(self) -> float:
        """Length of the measuring window."""
        return (self.window.ended_ns - self.window.measured_from_ns) / 1e9

    def answered(self, name: str) -> Column:
        """Values of a request metric over measured requests without an error, nulls left out."""
        return _values(self.table.filter(pc.and_(self.table["measured"], pc.is_null(self.table["error"]))), name)

    def measured(self, name: str) -> Column:
        """Values of a request metric over all measured requests, nulls left out."""
        return _values(self.table.filter(self.table["measured"]), name)

    def flowing(self, *names: str) -> list[Column]:
        """Aligned columns over all answered requests, those of the ramp included; rows with a null left out."""
        table = self.table.filter(pc.is_null(self.table["error"])).select(list(names)).drop_null()
        return [table[name].to_numpy() for name in names]

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """Aligned values of measured and answered requests; rows with a null left out."""
        table = self.table.filter(pc.and_(self.table["measured"], pc.is_null(self.table["error"])))
        table = table.select(list(names)).drop_null()
        return list(zip(*(table[name].to_pylist() for name in names), strict=True))

    def prompt_sizes(self) -> list[tuple[int, int]]:
        """Characters and tokens of each prompt of the model in this cell, one a prompt, in order of the prompts' names."""
        table = self.model_table.select(["prompt", "prompt_chars", "prompt_tokens"]).drop_null()
        sizes = {name: (c, t) for name, c, t in zip(*(column.to_pylist() for column in table.columns), strict=True)}
        return [sizes[name] for name in sorted(sizes)]

    def series(self, source: str, name: str) -> list[Readings]:
        """Readings of this point's servers."""
        return [r for r in self.readings if (r.source, r.name) == (source, name) and r.server in self.servers]


def _values(table: pa.Table, name: str) -> Column:
    column = table[name].drop_null()
    return column.to_numpy() if len(column) else NONE
