"""Facts that answer: languages, interference, steadiness, capacity, decisions, recommendations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from serving_study.analysis import answers
from serving_study.analysis.facts import Fact, Kind, Row, fact_id, number, plain, rows, source, subject
from serving_study.analysis.table import Column, TableKind

Frames = Mapping[str, pd.DataFrame]


def explained(frames: Frames) -> Iterator[Fact]:
    """Facts of the tables of answers; ids start with ``language``, ``interference``, ``steady`` or the table's name."""
    for row in rows(frames["languages"]):
        yield Fact(
            fact_id("language", *(row[k] for k in answers.LANGUAGES.key)),
            "ratio" if row["unit"] == "1" else "estimate",
            plain(row["value"]),
            source(answers.LANGUAGES, row, "value"),
            row["unit"],
            number(row["low"]),
            number(row["high"]),
            number(row["level"]),
            lives=int(row["lives"]),
            subject=subject(row, *answers.LANGUAGES.key, "base"),
            reason=row["reason"],
        )
    for row in rows(frames["interference"]):
        yield Fact(
            fact_id("interference", *(row[k] for k in answers.INTERFERENCE.key)),
            "share" if row["metric"] == "fairness" else "ratio",
            plain(row["value"]),
            source(answers.INTERFERENCE, row, "value"),
            "1",
            number(row["low"]),
            number(row["high"]),
            number(row["level"]),
            lives=int(row["lives"]),
            subject=subject(row, *answers.INTERFERENCE.key, "reference"),
            reason=row["reason"],
        )
    for row in rows(frames["steadiness"]):
        yield Fact(
            fact_id("steady", *(row[k] for k in answers.STEADINESS.key)),
            "verdict",
            "not-told" if row["steady"] is None else "steady" if row["steady"] else "not-steady",
            source(answers.STEADINESS, row, "drift"),
            lives=int(row["lives"]),
            subject=subject(row, *answers.STEADINESS.key, "drift", "limit"),
            reason=row["reason"],
        )
    for kind in (
        answers.MIX,
        answers.CAPACITY,
        answers.DECISIONS,
        answers.RECOMMENDATIONS,
        answers.SCORES,
        answers.CLAIMS,
        answers.CONTRADICTIONS,
    ):
        for row in rows(frames[kind.name]):
            yield from _columns(kind, row)


_INTERVAL = ("low", "high", "level")
_UNITS = ("unit", "second_unit")


def _columns(kind: TableKind, row: Row) -> Iterator[Fact]:
    """One fact a column that holds something; the number that ``low`` follows carries the row's interval."""
    about = subject(row, *kind.key)
    low, high, level = (number(row.get(k)) for k in _INTERVAL)
    names = [column.name for column in kind.columns]
    estimated = names[names.index("low") - 1] if "low" in names else None
    for column in kind.columns:
        value = plain(row[column.name])
        if column.name in (*kind.key, *_INTERVAL, *_UNITS, "reason") or value is None or value == "":
            continue
        unit = str(row[column.unit.removeprefix("see ")]) if column.unit.startswith("see ") else column.unit
        first = column.name == estimated
        yield Fact(
            fact_id(kind.name, *(row[k] for k in kind.key), column.name),
            _kind_of(column),
            value,
            source(kind, row, column.name),
            None if column.kind == "text" else unit,
            low if first else None,
            high if first else None,
            level if first else None,
            lives=row.get("lives"),
            subject=about,
            reason=plain_text(row.get("reason")),
        )


def _kind_of(column: Column) -> Kind:
    if column.kind == "text":
        return "verdict" if column.name == "verdict" else "text"
    return "count" if column.kind == "integer" else "ratio" if column.name == "score" else "estimate"


def plain_text(value: object) -> str | None:
    """A code, or None where a table has none."""
    found = plain(value)
    return None if found is None else str(found)
