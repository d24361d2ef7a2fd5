"""Absolute values: one value a life, their mean over lives, and a t interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from serving_study.analysis.cube import Floats
from serving_study.analysis.tables import ESTIMATES

LEVEL = 0.95


MOST_OTHER_LANGUAGE = 0.1
"""Characters/s of a language are shown only where at most this share of the answers is in another one."""
PER_CHARACTER = ("character_throughput", "byte_throughput")


def estimates(points: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """One row a point and metric: the mean over valid lives with its interval, or the reason why there is none.

    ``requests`` is ``tables.REQUESTS``: it says which points were answered in another language than asked.
    """
    keys = ["deployment", "engine", "model", "language", "workload", "metric"]
    strayed = requests[requests["other_language"] > MOST_OTHER_LANGUAGE * requests["succeeded"]]
    elsewhere = set(zip(*(strayed[k] for k in ("deployment", "model", "language", "workload")), strict=True))
    columns = {c: points[c].to_numpy() for c in ("value", "n", "needs", "fatal", "reason", "unit")}
    rows = []
    places = cast("dict[tuple[str, ...], NDArray[np.intp]]", points.groupby(keys).indices)
    for key, where in sorted(places.items()):
        lives = {name: column[where] for name, column in columns.items()}
        row = {**dict(zip(keys, key, strict=True)), **_estimate(lives, str(key[-1]))}
        if row["metric"] in PER_CHARACTER and (key[0], *key[2:5]) in elsewhere:
            row |= {"value": None, "low": None, "high": None, "cv": None, "reason": "other-language"}
        rows.append(row)
    return ESTIMATES.frame(rows)


def _estimate(lives: Mapping[str, NDArray[Any]], metric: str) -> dict[str, Any]:
    value = lives["value"].astype(float)
    enough = lives["n"] >= lives["needs"]
    fatal = lives["fatal"].astype(bool)
    valid = enough & ~np.isnan(value) & ~fatal
    unit = str(lives["unit"][0])
    described = mean_over_lives(value[valid], plain=unit == "1", share=is_share(metric))
    reason = described["reason"]
    if not valid.any():
        said = [r for r in lives["reason"] if isinstance(r, str)]
        reason = "invalid" if fatal.all() else said[0] if said else "too-few-requests"
    return {
        **described,
        "level": LEVEL,
        "unit": unit,
        "lives": int(valid.sum()),
        "lives_left_out": int((~valid).sum()),
        "n": int(lives["n"][valid].sum()),
        "needs": int(lives["needs"].max()),
        "reason": reason,
    }


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1."""
    return metric in ("success_rate", "early_stop_share", "kv_used_peak") or metric.startswith("attainment_")


def mean_over_lives(values: Floats, plain: bool = False, share: bool = False, level: float = LEVEL) -> dict[str, Any]:
    """Mean of logarithms over lives where all values are positive (``plain``: of the values) with a t interval.

    The interval of a share ends at 0 and 1; it is null with one life, and for a
    share that did not vary at all, which proves nothing.
    """
    nothing = {"value": None, "low": None, "high": None, "cv": None, "method": "alone", "reason": None}
    if not len(values):
        return nothing
    if len(values) == 1:
        return {**nothing, "value": float(values[0]), "reason": "one-life"}
    logs = not plain and bool((values > 0).all())
    y = np.log(values) if logs else values
    spread = float(y.std(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, len(y) - 1)) * spread / np.sqrt(len(y))
    low, value, high = y.mean() - half, y.mean(), y.mean() + half
    if logs:
        low, value, high = np.exp(low), np.exp(value), np.exp(high)
    if share:
        low, high = max(low, 0.0), min(high, 1.0)
    mean = float(values.mean())
    found = {"value": value, "low": low, "high": high, "method": "log" if logs else "plain", "reason": None}
    if share and spread == 0:
        found |= {"low": None, "high": None, "reason": "no-spread"}
    return {**found, "cv": float(values.std(ddof=1)) / abs(mean) if mean else None}
