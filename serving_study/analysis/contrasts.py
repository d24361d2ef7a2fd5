"""Ratios inside one deployment or between chosen ones, paired by block: languages, loads together and apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.cube import Floats
from serving_study.analysis.estimates import LEVEL
from serving_study.analysis.ratios import overall

ALL = "all"
Block = dict[str, float]
Point = tuple[str, str, str, str]
"""Deployment, model, language, workload."""


class Blocks:
    """Values of points by block, so that no question searches the whole table again."""

    def __init__(self, points: pd.DataFrame) -> None:
        self._values: dict[str, dict[Point, Block]] = {}
        columns = ("metric", "deployment", "model", "language", "workload", "block", "value")
        for metric, *point, block, value in zip(*(points[c].tolist() for c in columns), strict=True):
            if value is not None and not math.isnan(value):
                where: Point = (point[0], point[1], point[2], point[3])
                self._values.setdefault(metric, {}).setdefault(where, {})[block] = float(value)

    def points(self) -> list[Point]:
        """Every point of a single model that has a value, in order."""
        return sorted({p for of_metric in self._values.values() for p in of_metric if p[1] != "*"})

    def of(self, metric: str, deployment: str, model: str, language: str, workload: str) -> pd.Series[float]:
        """Positive values of one point, indexed by block."""
        found = self._values.get(metric, {}).get((deployment, model, language, workload), {})
        return pd.Series({block: value for block, value in found.items() if value > 0}, dtype=float)

    def mix(self, metric: str, deployment: str, workload: str = ALL) -> Floats:
        """Values of all cells of a deployment (rows) in the blocks that have them all (columns)."""
        cells = [
            values
            for (d, _, _, w), values in sorted(self._values.get(metric, {}).items())
            if d == deployment and workload in (ALL, w)
        ]
        shared = sorted(set.intersection(*map(set, cells))) if cells else []
        return np.array([[cell[block] for block in shared] for cell in cells], dtype=np.float64)


def ratio(over: list[pd.Series[float]], under: list[pd.Series[float]]) -> dict[str, Any]:
    """Geometric mean of over/under in blocks that both have, with a t interval over blocks.

    Several series are several cells of the same lives: each block counts once.
    """
    cells = [(a / b).map(math.log, na_action="ignore") for a, b in zip(over, under, strict=True)]
    d = pd.concat(cells, axis=1, join="outer").T.to_numpy(float) if cells else np.empty((0, 0))
    d = d[:, ~np.isnan(d).all(0)] if d.size else np.empty((0, 0))
    blocks = d.shape[1]
    if blocks == 0:
        return {**_nothing, "reason": "not-measured"}
    if blocks == 1:
        return {**_nothing, "value": float(np.exp(np.nanmean(d))), "lives": 1, "reason": "one-life"}
    found = overall(d, np.zeros(len(d), dtype=np.int64))
    if not found.lives > 1:
        return {**_nothing, "reason": "not-measured"}
    half = float(found.half_width(1 - LEVEL))
    est = float(found.est)
    return {
        "value": np.exp(est),
        "low": np.exp(est - half),
        "high": np.exp(est + half),
        "level": LEVEL,
        "lives": int(found.lives),
        "reason": None,
    }


_nothing: dict[str, Any] = {"value": None, "low": None, "high": None, "level": LEVEL, "lives": 0, "reason": None}
