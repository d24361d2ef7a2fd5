"""Two runs of a study against each other: never paired, because they were not measured in the same blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis import tables
from serving_study.analysis.claimable import claimed, tail
from serving_study.analysis.collect import comparable, points_of, read_measured
from serving_study.analysis.cube import Better, Floats, cube
from serving_study.analysis.families import budgets, holm
from serving_study.analysis.ratios import Ratio, of_cells, overall
from serving_study.analysis.table import significant
from serving_study.analysis.verdicts import LIVES_FOR_CELLS, LIVES_FOR_HEADLINE, lives_to_show
from serving_study.study.errors import StudyError

LEVEL = 0.95
Row = dict[str, Any]


def read_run(folder: Path) -> pd.DataFrame:
    """Comparable points of a result folder (``tables/`` or ``cells/``) or of a recorded run, deriving them if need be."""
    if (folder / "tables" / "points.parquet").exists():
        return comparable(tables.POINTS.read(folder / "tables"))
    cells = sorted(folder.glob("cells/*/*/*/cell.json"))
    if not cells:
        raise StudyError(
            f"{folder}: holds neither tables/points.parquet nor cells/*/*/*/cell.json; name a folder of results/ or recorded/"
        )
    return comparable(tables.POINTS.frame(points_of(read_measured(cells)).to_dict("records")))


@dataclass(frozen=True, slots=True)
class Side:
    """One run of one deployment: logarithms (metric, cell, block)."""

    y: Floats

    @property
    def lives(self) -> int:
        """Most lives of a cell."""
        return int((~np.isnan(self.y)).sum(-1).max(initial=0))


def compare_runs(before: pd.DataFrame, after: pd.DataFrame) -> list[Row]:
    """One row for each deployment and metric over all its cells, and one for each cell; ratios are after / before.

    Verdicts are better, worse, no-clear-winner, not-decided, not-ranked or not-comparable. Holm runs over all deployments
    and metrics, headlines and cells apart. Raises StudyError if nothing stands in both.
    """
    names = sorted(set(before["deployment"]) & set(after["deployment"]))
    metrics = claimed(set(before["metric"]) & set(after["metric"]))
    if not names or not metrics:
        raise StudyError(
            f"no deployment and metric stand in both runs ({_listed(before)} and {_listed(after)}); "
            "compare runs of the same deployments"
        )
    rows: list[Row] = []
    for name in names:
        rows += _deployment(before[before["deployment"] == name], after[after["deployment"] == name], name, metrics)
    lives = max((r["lives"] for r in rows), default=0)
    for scope, budget in budgets(lives, LIVES_FOR_CELLS).items():
        _judge([r for r in rows if r["scope"] == scope], budget)
    return [{k: significant(v) if isinstance(v, float) else v for k, v in r.items() if k != "_ratio"} for r in rows]


def _listed(points: pd.DataFrame) -> str:
    return ", ".join(sorted(set(points["deployment"]))) or "none"


def _deployment(before: pd.DataFrame, after: pd.DataFrame, name: str, metrics: list[str]) -> Iterator[Row]:
    """All rows of one deployment, not judged yet."""
    both = pd.concat([before.assign(deployment="before"), after.assign(deployment="after")], ignore_index=True)
    both["block"] = both["deployment"] + "/" + both["block"].astype(str)
    both["life"] = both["deployment"] + "/" + both["life"].astype(str)
    directions: dict[str, Better] = {str(m): b for m, b in both.groupby("metric")["better"].first().items()}
    values = cube(both, directions, metrics)
    if values.deployments != ("after", "before"):
        return
    reason = _unlike(before, after)
    new, old = (Side(_own_blocks(values.y[i])) for i in (0, 1))
    alone = np.zeros(len(values.cells), dtype=np.int64)
    whole = _apart(overall(new.y, alone), overall(old.y, alone))
    cells = _apart(of_cells(new.y, values.pool, alone), of_cells(old.y, values.pool, alone))
    for m, metric in enumerate(values.metrics):
        about = {"deployment": name, "metric": metric, "better": directions[metric]}
        yield _row(about, "headline", ("all", "all", "all"), whole, (m,), reason)
        for c, cell in enumerate(values.cells):
            if cells.lives[m, c] > 0:
                weights = bool(values.weights[0, c] == values.weights[1, c])
                yield _row(about, "cell", cell, cells, (m, c), reason if weights else "other-weights")


def _own_blocks(y: Floats) -> Floats:
    """Only the blocks of this run."""
    return y[..., ~np.isnan(y).all((0, 1))]


def _unlike(before: pd.DataFrame, after: pd.DataFrame) -> str | None:
    """Why two runs of a deployment cannot be compared."""
    if set(before["host"]) != set(after["host"]):
        return "other-host"
    return "other-weights" if set(before["weights"]) != set(after["weights"]) else None


def _apart(new: Ratio, old: Ratio) -> Ratio:
    """Ratio of two means that share no block: Welch's standard error and degrees of freedom."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = new.se**2, old.se**2
        df = (a + b) ** 2 / (a**2 / new.df + b**2 / old.df)
        df = np.where(a + b > 0, df, np.fmin(new.df, old.df))
    lives = np.fmin(new.lives, old.lives)
    se = np.sqrt(a + b)
    return Ratio(new.est - old.est, se, df, np.where(np.isnan(new.est + old.est), 0, lives), se * np.sqrt(lives))


def _row(
    about: Row, scope: str, place: tuple[str, str, str], ratio: Ratio, at: tuple[int, ...], reason: str | None
) -> Row:
    est, half = float(ratio.est[at]), float(ratio.half_width(1 - LEVEL)[at])
    return {
        "scope": scope,
        **about,
        "model": place[0],
        "language": place[1],
        "workload": place[2],
        "ratio": None if np.isnan(est) else float(np.exp(est)),
        "low": None if np.isnan(half) else float(np.exp(est - half)),
        "high": None if np.isnan(half) else float(np.exp(est + half)),
        "level": LEVEL,
        "p": None if np.isnan(half) else float(ratio.p[at]),
        "p_holm": None,
        "lives": int(ratio.lives[at]),
        "lives_needed": None,
        "verdict": "not-comparable" if reason else "not-decided",
        "reason": reason,
        "_ratio": (ratio, at),
    }


def _judge(rows: list[Row], budget: float) -> None:
    """Fill in verdicts, Holm's p-values, intervals that agree with them, and the lives that would decide."""
    for r in rows:
        if r["reason"] is None:
            r["reason"] = _not_tested(r, budget)
            r["verdict"] = "not-ranked" if r["reason"] == "tail" else "not-decided"
    tested = [r for r in rows if r["reason"] is None]
    if not tested:
        return
    each = holm(np.array([r["p"] for r in tested]), budget)
    for i, r in enumerate(tested):
        ratio, at = r["_ratio"]
        est, half = float(ratio.est[at]), float(ratio.half_width(float(each.local[i]))[at])
        r |= {"p_holm": float(each.adjusted[i]), "level": 1 - float(each.local[i])}
        r |= {"low": float(np.exp(est - half)), "high": float(np.exp(est + half))}
        if each.holds[i]:
            r["verdict"] = "better" if (est > 0) == (r["better"] == "higher") else "worse"
        else:
            r["verdict"] = "no-clear-winner"
            r["lives_needed"] = lives_to_show(ratio, at, float(each.last), LIVES_FOR_HEADLINE)


def _not_tested(r: Row, budget: float) -> str | None:
    if r["lives"] < LIVES_FOR_HEADLINE or r["p"] is None:
        return "one-life" if r["lives"] < 2 else "few-lives"
    if r["scope"] == "cell" and tail(r["metric"]):
        return "tail"
    return "few-lives" if budget == 0 else None
