"""Facts: every number, name and verdict that a report may show, with where it came from.

``facts.json`` is ``{"study": NAME, "facts": [...]}``. Ids use ``/``, are lower case and stable; ``*`` is written ``all``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd

from serving_study.analysis.table import TableKind, significant

Kind = Literal["estimate", "count", "ratio", "verdict", "label", "share", "text"]
Value = bool | int | float | str | None
Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact stands: a table of the study, the keys of its row, and the column."""

    table: str
    row: Mapping[str, Value]
    column: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One number, name or verdict."""

    id: str
    kind: Kind
    value: Value
    source: Source
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    n: int | None = None
    lives: int | None = None
    subject: Mapping[str, Value] = field(default_factory=dict)
    reason: str | None = None
    """Code that says why there is no value, no interval or no decision."""


class Book:
    """Facts in the order in which they were found; an id stands for one fact."""

    def __init__(self, study: str) -> None:
        self.study = study
        self._facts: dict[str, Fact] = {}

    def add(self, fact: Fact) -> None:
        """Keep ``fact``; a second one of the same id is a mistake of the program."""
        if fact.id in self._facts:
            raise ValueError(f"{fact.id}: two facts of one id")
        self._facts[fact.id] = fact

    def __iter__(self) -> Iterator[Fact]:
        """Facts in order."""
        return iter(self._facts.values())

    def __getitem__(self, fact_id: str) -> Fact:
        """The fact of that id; KeyError without one."""
        return self._facts[fact_id]

    def get(self, fact_id: str) -> Fact | None:
        """The fact of that id, or None."""
        return self._facts.get(fact_id)

    def under(self, start: str) -> list[Fact]:
        """Facts whose ids start with ``start``."""
        return [fact for fact_id, fact in self._facts.items() if fact_id.startswith(start)]

    def write(self, path: Path) -> None:
        """Write ``facts.json``; the same facts give the same bytes."""
        content = {"study": self.study, "facts": [asdict(f) for f in self]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def fact_id(*parts: Value) -> str:
    """Parts joined by ``/``: lower case, ``all`` for ``*``, anything unusual as ``-``."""
    return "/".join(re.sub(r"[^a-z0-9._-]+", "-", "all" if p == "*" else str(p).lower()) or "-" for p in parts)


def source(table: TableKind, row: Row, column: str) -> Source:
    """Source of a value in ``row`` of ``table``."""
    return Source(table.name, {k: plain(row[k]) for k in table.key}, column)


def plain(value: Any) -> Value:
    """A table's value as JSON has it; numbers with as many digits as are kept."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return significant(float(value))
    return str(value)


def number(value: Any) -> float | None:
    """As ``plain``, for what must be a number."""
    found = plain(value)
    return found if isinstance(found, int | float) else None


def subject(row: Row, *keys: str) -> dict[str, Value]:
    """What a fact is about: these keys of the row."""
    return {k: plain(row[k]) for k in keys}


def rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of a frame as dictionaries of plain values: None where there is none."""
    return [{k: plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
