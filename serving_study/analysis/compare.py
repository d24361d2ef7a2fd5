"""Deployments against each other at equal model, language and load: ``compare(frame) -> pairs, champions``.

``frame`` has one row a value of a life, with the columns

==========  ===================================================================================================
deployment  what is compared
model, language, workload  the cell; comparisons stay inside it
metric      name of the metric, see docs/metrics.md
better      higher, lower or neither: which values are better; a metric with neither is never ranked
value       the life's value; rows without a positive value take no part
block       id of the block: only values of one block are paired
life        id of the server life; values of one life are not independent
weights     (optional) type of the weights; champions are named among equal types only
==========  ===================================================================================================

Both results are described column by column in docs/tables.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.claimable import claimed, of_memory, tail
from serving_study.analysis.cube import Better, Cube, cube
from serving_study.analysis.families import ALPHA
from serving_study.analysis.tables import CHAMPIONS, PAIRS
from serving_study.analysis.unheld import Unheld
from serving_study.analysis.verdicts import Family, families, lives_to_show, measured
from serving_study.study.errors import StudyError

LEVEL = 0.95
ALL = "all"
COLUMNS = ("deployment", "model", "language", "workload", "metric", "better", "value", "block", "life")


def compare(
    frame: pd.DataFrame, metrics: Sequence[str] | None = None, short: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs with ratios, intervals and verdicts, and champions with Holm's p-values.

    ``metrics``: those to compare; by default all that may be claimed. ``short``: values that take no part because answers
    stopped early; what they leave without a comparison is said. Raises StudyError if a column is missing.
    """
    missing = [c for c in COLUMNS if c not in frame]
    if missing:
        raise StudyError(f"compare: the frame has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    names = claimed(frame["metric"].unique()) if metrics is None else list(metrics)
    directions: dict[str, Better] = {str(m): b for m, b in frame.groupby("metric")["better"].first().items()}
    values = cube(frame, directions, names)
    pairs, champions = _held(frame, values, directions) if len(values.deployments) > 1 and values.metrics else ([], [])
    if short is not None and len(short):
        unheld = Unheld(frame, short, "early-stop")
        pairs, champions = [*pairs, *unheld.pairs()], list(unheld.champions(champions))
    return PAIRS.frame(pairs), CHAMPIONS.frame(champions)


def _held(
    frame: pd.DataFrame, values: Cube, directions: dict[str, Better]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of both tables for what can be compared."""
    claimable = {
        "headline": np.array([directions[m] != "neither" for m in values.metrics]),
        "cell": np.array([directions[m] != "neither" and not tail(m) for m in values.metrics]),
    }
    both = families(values, claimable, _comparable(frame, values))
    pairs = [row for family in both for row in _pair_rows(values, family)]
    champions = [row for family in both for row in _champion_rows(values, family)]
    return pairs, champions


def _comparable(frame: pd.DataFrame, values: Cube) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(deployment, deployment, metric): memory that an engine reserves is no rival of memory that another one uses."""
    count = len(values.deployments)
    allowed = np.ones((count, count, len(values.metrics)), dtype=bool)
    if "reserves" in frame:
        reserves = frame.groupby("deployment")["reserves"].first().reindex(list(values.deployments)).to_numpy(bool)
        unlike = reserves[:, None] != reserves[None, :]
        for i, metric in enumerate(values.metrics):
            if of_memory(metric):
                allowed[:, :, i] = ~unlike
    return allowed


def _places(values: Cube, family: Family) -> Sequence[tuple[str, str, str]]:
    return values.cells if family.scope == "cell" else ((ALL, ALL, ALL),)


def _pair_rows(values: Cube, family: Family) -> Iterator[dict[str, Any]]:
    r = family.ratio
    half = r.half_width(1 - LEVEL)
    wide = r.half_width(family.local)
    p = r.p
    for i, (a, b) in enumerate(family.pairs):
        for m, metric in enumerate(values.metrics):
            for c, place in enumerate(_places(values, family)):
                at = (i, m, c)
                if not r.lives[at] >= 1:
                    continue
                label = values.weights if family.scope == "cell" else values.overall[:, None]
                verdict, reason = _pair_verdict(values, family, at)
                yield {
                    **_subject(family.scope, metric, place),
                    "better": _DIRECTIONS[values.sign[m]],
                    "a": values.deployments[a],
                    "b": values.deployments[b],
                    "ratio": np.exp(r.est[at]) if r.lives[at] > 1 else None,
                    "low": _exp(r.est[at] - half[at]),
                    "high": _exp(r.est[at] + half[at]),
                    "level": LEVEL,
                    "simultaneous_low": _exp(r.est[at] - wide[at]),
                    "simultaneous_high": _exp(r.est[at] + wide[at]),
                    "simultaneous_level": 1 - family.local[at],
                    "p": p[at],
                    "p_holm": family.p_holm[at],
                    "df": r.df[at],
                    "lives": int(r.lives[at]),
                    "lives_needed": None if verdict in _DECIDED else lives_needed(family, at),
                    "equal_weights": bool(label[a, c] == label[b, c]),
                    "verdict": verdict,
                    "reason": reason,
                }


_DECIDED = ("better", "worse")
_DIRECTIONS = {1: "higher", -1: "lower", 0: "neither"}


def _pair_verdict(values: Cube, family: Family, at: tuple[int, int, int]) -> tuple[str, str | None]:
    """Code of what can be said of A against B, and of why no more."""
    metric = values.metrics[at[1]]
    if family.decided[at]:
        return ("better" if family.ratio.est[at] * values.sign[at[1]] > 0 else "worse"), None
    if family.claimed[at]:
        return "no-clear-winner", None
    lives = family.ratio.lives[at]
    if lives < 2:
        return "not-decided", "one-life"
    if not values.sign[at[1]]:
        return "not-ranked", "described-only"
    if family.scope == "cell" and tail(metric):
        return "not-ranked", "tail"
    if lives < family.least or family.budget == 0:
        return "not-decided", "few-lives"
    return "not-comparable", "reserved-against-used"


def _champion_rows(values: Cube, family: Family) -> Iterator[dict[str, Any]]:
    label = values.weights if family.scope == "cell" else values.overall[:, None]
    present = measured(values)
    if family.scope == "headline":
        present = np.any(present, axis=-1)[..., None]
    for m, metric in enumerate(values.metrics):
        for c, place in enumerate(_places(values, family)):
            for w, number in enumerate(np.unique(label[label >= 0])):
                mine = np.flatnonzero((label[:, c] == number) & present[:, m, c])
                if not len(mine):
                    continue
                at = (w, m, c)
                winner, leader = int(family.champion[at]), int(family.leader[at])
                needed = _needed_to_win(family, mine, m, c)
                verdict, reason = _champion_verdict(family, metric, mine, winner, m, c)
                yield {
                    **_subject(family.scope, metric, place),
                    "weights": values.weight_names[number] if family.scope == "cell" else _kinds_of(values, mine[0]),
                    "winner": values.deployments[winner] if winner >= 0 else None,
                    "leader": values.deployments[leader] if leader >= 0 else None,
                    "rivals": ",".join(values.deployments[e] for e in mine),
                    "p": family.champion_p[at] if leader >= 0 else None,
                    "p_holm": family.champion_p_holm[at] if leader >= 0 else None,
                    "lives": _least_lives(family, mine, m, c),
                    "lives_needed": None if winner >= 0 else needed,
                    "verdict": verdict,
                    "reason": reason,
                }


def _champion_verdict(
    family: Family, metric: str, mine: np.ndarray[Any, Any], winner: int, m: int, c: int
) -> tuple[str, str | None]:
    if len(mine) < 2:
        return "no-rival", None
    if winner >= 0:
        return "champion", None
    among = [i for i, pair in enumerate(family.pairs) if set(pair) <= set(mine.tolist())]
    if all(family.claimed[i, m, c] for i in among):
        return "no-clear-winner", None
    lives = min(family.ratio.lives[i, m, c] for i in among)
    if family.scope == "cell" and tail(metric):
        return "not-ranked", "tail"
    if lives < 2:
        return "not-decided", "one-life"
    if lives < family.least or family.budget == 0:
        return "not-decided", "few-lives"
    return "not-comparable", "reserved-against-used"


def _kinds_of(values: Cube, deployment: int) -> str:
    """Types of weights of a deployment, as model:type, comma-joined."""
    held = {
        (cell[0], values.weight_names[values.weights[deployment, j]])
        for j, cell in enumerate(values.cells)
        if values.weights[deployment, j] >= 0 and cell[0] != "*"
    }
    return ",".join(f"{model}:{kind}" for model, kind in sorted(held))


def _least_lives(family: Family, mine: np.ndarray[Any, Any], m: int, c: int) -> int:
    lives = [family.ratio.lives[i, m, c] for i, p in enumerate(family.pairs) if set(p) <= set(mine.tolist())]
    return int(min(lives, default=0))


def _needed_to_win(family: Family, mine: np.ndarray[Any, Any], m: int, c: int) -> int | None:
    """Lives that would show the leader's smallest lead; None when no deployment leads or no number of lives would."""
    among = [i for i, p in enumerate(family.pairs) if set(p) <= set(mine.tolist())]
    needed = [lives_needed(family, (i, m, c)) for i in among]
    return max((n for n in needed if n is not None), default=None) if all(needed) else None


def lives_needed(family: Family, at: tuple[int, int, int]) -> int | None:
    """Lives that would decide this comparison, at the share of the budget that the family's next claim has to pass."""
    alpha = float(family.last) if family.budget else ALPHA / 2 / max(1, int((family.ratio.lives > 1).sum()))
    return lives_to_show(family.ratio, at, alpha, family.least)


def _subject(scope: str, metric: str, place: tuple[str, str, str]) -> dict[str, str]:
    model, language, workload = place
    return {"scope": scope, "metric": metric, "model": model, "language": language, "workload": workload}


def _exp(x: float) -> float | None:
    return None if np.isnan(x) else float(np.exp(x))
