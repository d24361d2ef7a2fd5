"""Two runs of a study against each other: never paired, because they were not measured in the same blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis import tables
from serving_study.analysis.across import asked_alike
from serving_study.analysis.claimable import claimed, tail
from serving_study.analysis.collect import comparable, left_out, points_of, read_measured
from serving_study.analysis.cube import Better, Bools, Floats, cube
from serving_study.analysis.families import budgets, holm
from serving_study.analysis.ratios import Ratio, of_cells, overall
from serving_study.analysis.table import significant
from serving_study.analysis.verdicts import LIVES_FOR_CELLS, LIVES_FOR_HEADLINE, lives_to_show
from serving_study.study.errors import StudyError

LEVEL = 0.95
Row = dict[str, Any]
_PLACE = ["model", "language", "workload"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs held against each other."""

    rows: list[Row]
    missing: list[Row]
    """What stands in one run only, or has a valid value in one only, and was left out of every row."""


def read_run(folder: Path) -> pd.DataFrame:
    """Points of a result folder (``tables/`` or ``cells/``) or of a recorded run, deriving them if need be."""
    if (folder / "tables" / "points.parquet").exists():
        return tables.POINTS.read(folder / "tables")
    cells = sorted(folder.glob("cells/*/*/*/cell.json"))
    if not cells:
        raise StudyError(
            f"{folder}: holds neither tables/points.parquet nor cells/*/*/*/cell.json; name a folder of results/ or recorded/"
        )
    return tables.POINTS.frame(points_of(asked_alike(read_measured(cells))).to_dict("records"))


@dataclass(frozen=True, slots=True)
class Side:
    """One run of one deployment: logarithms (metric, cell, block)."""

    y: Floats

    @property
    def told(self) -> Bools:
        """(metric, cell): lives enough to say how much they differ."""
        return np.asarray((~np.isnan(self.y)).sum(-1) > 1)


def compare_runs(before: pd.DataFrame, after: pd.DataFrame) -> Comparison:
    """One row for each deployment and metric over all its cells, and one for each cell; ratios are after / before.

    A headline is over the cells that both runs have. Verdicts are better, worse, no-clear-winner, not-decided, not-ranked
    or not-comparable. Holm runs over all deployments and metrics, headlines and cells apart. Raises StudyError if nothing
    stands in both.
    """
    old, new = (comparable(points)[lambda f: f["value"] > 0] for points in (before, after))
    names = sorted(set(old["deployment"]) & set(new["deployment"]))
    metrics = claimed(set(old["metric"]) & set(new["metric"]))
    if not names or not metrics:
        raise StudyError(
            f"no deployment and metric stand in both runs ({_listed(before)} and {_listed(after)}); "
            "compare runs of the same deployments"
        )
    rows: list[Row] = []
    for name in names:
        rows += _deployment(old[old["deployment"] == name], new[new["deployment"] == name], name, metrics)
    lives = max((r["lives"] for r in rows), default=0)
    for scope, budget in budgets(lives, LIVES_FOR_CELLS).items():
        _judge([r for r in rows if r["scope"] == scope], budget)
    said = [{k: significant(v) if isinstance(v, float) else v for k, v in r.items() if k != "_ratio"} for r in rows]
    return Comparison(said, list(missing(before, after)))


def missing(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[Row]:
    """What has a valid value in one run only: whole deployments, else whole metrics, else single cells, with the reason.

    Metrics that are described and never claimed are not spoken of.
    """
    sides = {"before": before, "after": after}
    had = {side: _valid(points) for side, points in sides.items()}
    for side, other in (("before", "after"), ("after", "before")):
        gone = had[other] - had[side]
        for place in sorted({_whole(key, had[side]) for key in gone}):
            deployment, metric, *cell = place
            yield {
                "missing_in": side,
                "deployment": deployment,
                "metric": metric,
                **dict(zip(_PLACE, cell, strict=True)),
                "reason": _why(sides[side], place),
            }


Key = tuple[str, str, str, str, str]
"""Deployment, metric, model, language, workload; all where it is of everything."""


def _valid(points: pd.DataFrame) -> set[Key]:
    """What a run has a value of, among the metrics that are claimed."""
    found = comparable(points)
    found = found[found["metric"].isin(claimed(found["metric"].unique())) & (found["value"] > 0)]
    return set(found[["deployment", "metric", *_PLACE]].itertuples(index=False, name=None))


def _whole(key: Key, had: set[Key]) -> Key:
    """The widest that is missing: the deployment if nothing of it is there, the metric if it has no cell."""
    if not any(other[0] == key[0] for other in had):
        return key[0], "all", "all", "all", "all"
    if not any(other[:2] == key[:2] for other in had):
        return key[0], key[1], "all", "all", "all"
    return key


def _why(points: pd.DataFrame, place: Key) -> str:
    """Why a run has no valid value there: what takes most of its values out, or that it has none."""
    for column, wanted in zip(["deployment", "metric", *_PLACE], place, strict=True):
        if wanted != "all":
            points = points[points[column] == wanted]
    why = left_out(points)
    found = why[why != ""].value_counts()
    return str(found.index[0]) if len(found) else "not-measured"


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
    # the mean over other cells would be another quantity
    both_told = (new.told & old.told)[..., None]
    whole = _apart(*(overall(np.where(both_told, side.y, np.nan), alone) for side in (new, old)))
    cells = _apart(of_cells(new.y, values.pool, alone), of_cells(old.y, values.pool, alone))
    for m, metric in enumerate(values.metrics):
        if not cells.lives[m].any():
            continue  # no cell in common: told as missing
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
            r["lives_needed"] = lives_to_show(ratio, at, float(each.last), _least(r))


def _not_tested(r: Row, budget: float) -> str | None:
    if r["lives"] < 2 or r["p"] is None:
        return "one-life"
    if r["scope"] == "cell" and tail(r["metric"]):
        return "tail"
    return "few-lives" if r["lives"] < _least(r) or budget == 0 else None


def _least(r: Row) -> int:
    """Fewest lives at which such a row is claimed."""
    return LIVES_FOR_HEADLINE if r["scope"] == "headline" else LIVES_FOR_CELLS
