"""Facts that compare: ratios, verdicts, champions, and 'x times' only where the interval allows it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from serving_study.analysis import tables
from serving_study.analysis.claimable import of_memory
from serving_study.analysis.facts import Fact, Row, Value, fact_id, number, plain, rows, source, subject

_PLACE = ("model", "language", "workload")


def compared(pairs: pd.DataFrame, champions: pd.DataFrame) -> Iterator[Fact]:
    """Facts of both tables; a verdict's value is a code."""
    for row in rows(pairs):
        yield from _pair(row)
    for row in rows(champions):
        yield _champion(row)


def word(metric: str, verdict: str) -> str:
    """Code for 'better' and 'worse' that fits the metric: faster, slower, less, more."""
    if verdict not in ("better", "worse"):
        return verdict
    if of_memory(metric):
        return "less" if verdict == "better" else "more"
    return "faster" if verdict == "better" else "slower"


def _place(row: Row) -> list[Value]:
    return [] if row["scope"] == "headline" else [plain(row[k]) for k in _PLACE]


def _pair(row: Row) -> Iterator[Fact]:
    about = {**subject(row, "scope", "metric", "a", "b", *_PLACE, "equal_weights")}
    where = [row["scope"], row["metric"], row["a"], row["b"], *_place(row)]
    lives = int(row["lives"])
    reason = row["reason"]
    yield Fact(
        fact_id("ratio", *where),
        "ratio",
        plain(row["ratio"]),
        source(tables.PAIRS, row, "ratio"),
        "1",
        number(row["low"]),
        number(row["high"]),
        number(row["level"]),
        lives=lives,
        subject=about,
        reason=reason if number(row["ratio"]) is None else None,
    )
    yield Fact(
        fact_id("verdict", *where),
        "verdict",
        word(row["metric"], row["verdict"]),
        source(tables.PAIRS, row, "verdict"),
        low=number(row["simultaneous_low"]),
        high=number(row["simultaneous_high"]),
        level=number(row["simultaneous_level"]),
        lives=lives,
        subject=about,
        reason=reason,
    )
    if number(row["lives_needed"]) is not None:
        yield Fact(
            fact_id("lives-needed", *where),
            "count",
            int(row["lives_needed"]),
            source(tables.PAIRS, row, "lives_needed"),
            "1",
            lives=lives,
            subject=about,
        )
    if row["verdict"] in ("better", "worse"):
        yield _advantage(row, about, where)


def _advantage(row: Row, about: dict[str, Value], where: list[Value]) -> Fact:
    """How many times better the better one is: at least 1 whichever way the metric counts, with its interval."""
    ratio, low, high = row["ratio"], row["simultaneous_low"], row["simultaneous_high"]
    if (row["better"] == "higher") != (row["verdict"] == "better"):
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    winner, loser = ("a", "b") if row["verdict"] == "better" else ("b", "a")
    return Fact(
        fact_id("advantage", *where),
        "ratio",
        number(ratio),
        source(tables.PAIRS, row, "ratio"),
        "1",
        number(low),
        number(high),
        number(row["simultaneous_level"]),
        lives=int(row["lives"]),
        subject={**about, "better": row[winner], "worse": row[loser]},
    )


def _champion(row: Row) -> Fact:
    return Fact(
        fact_id("champion", row["scope"], row["metric"], *_place(row), row["weights"]),
        "verdict",
        row["verdict"],
        source(tables.CHAMPIONS, row, "winner"),
        n=None if number(row["lives_needed"]) is None else int(row["lives_needed"]),
        lives=int(row["lives"]),
        subject=subject(
            row, "scope", "metric", *_PLACE, "weights", "winner", "leader", "rivals", "p_holm", "lives_needed"
        ),
        reason=row["reason"],
    )
