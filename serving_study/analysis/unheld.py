"""Comparisons that cannot be held because one side's values were left out: rows that say so, instead of no row at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from serving_study.analysis.claimable import claimed

ALL = "all"
Row = dict[str, Any]
Place = tuple[str, str, str]
"""Model, language and load; all of them for a headline."""
_PLACE = ["model", "language", "workload"]
_NO_NUMBERS = ("p", "p_holm", "lives_needed")


class Unheld:
    """Values that take no part, beside those that do.

    A deployment lacks a metric somewhere when all of its values there were left out for the same ``reason``.
    """

    def __init__(self, frame: pd.DataFrame, left_out: pd.DataFrame, reason: str) -> None:
        self._reason = reason
        self._metrics = claimed(left_out["metric"].unique())
        self._kinds = _kinds(pd.concat([frame, left_out], ignore_index=True))
        self._better = left_out.groupby("metric")["better"].first().to_dict()
        self._has = _deployments(frame, self._metrics)
        self._lacks = {
            key: found - self._has.get(key, set()) for key, found in _deployments(left_out, self._metrics).items()
        }

    def pairs(self) -> Iterator[Row]:
        """Rows of ``tables.PAIRS`` for every pair one of whose sides lacks its values."""
        for (metric, place), lacking in sorted(self._lacks.items()):
            there = lacking | self._has.get((metric, place), set())
            for a, b in combinations(sorted(there), 2):
                if {a, b} & lacking:
                    yield {
                        **self._subject(metric, place),
                        "better": self._better[metric],
                        "a": a,
                        "b": b,
                        **dict.fromkeys(("ratio", "low", "high", "level", "df", *_NO_NUMBERS)),
                        **dict.fromkeys(("simultaneous_low", "simultaneous_high", "simultaneous_level")),
                        "lives": 0,
                        "equal_weights": self._held(a, place) == self._held(b, place),
                        "verdict": "not-comparable",
                        "reason": self._reason,
                    }

    def champions(self, named: list[Row]) -> Iterator[Row]:
        """``named`` rows of ``tables.CHAMPIONS``, and those of which too few rivals have a value, as not comparable."""
        rest = {(row["metric"], tuple(row[k] for k in _PLACE), row["weights"]): row for row in named}
        for (metric, place), lacking in sorted(self._lacks.items()):
            groups: dict[str, set[str]] = {}
            for deployment in lacking:
                groups.setdefault(self._held(deployment, place), set()).add(deployment)
            for weights, without in groups.items():
                have = {d for d in self._has.get((metric, place), set()) if self._held(d, place) == weights}
                if len(have) < 2 <= len(have | without):
                    rest[metric, place, weights] = {
                        **self._subject(metric, place),
                        "weights": weights,
                        "winner": None,
                        "leader": None,
                        "rivals": ",".join(sorted(have | without)),
                        **dict.fromkeys(_NO_NUMBERS),
                        "lives": 0,
                        "verdict": "not-comparable",
                        "reason": self._reason,
                    }
        yield from rest.values()

    def _subject(self, metric: str, place: Place) -> Row:
        scope = "headline" if place == (ALL, ALL, ALL) else "cell"
        return {"scope": scope, "metric": metric, **dict(zip(_PLACE, place, strict=True))}

    def _held(self, deployment: str, place: Place) -> str:
        """Type of the weights there; as a headline those of all models, as ``compare`` writes them."""
        if place != (ALL, ALL, ALL):
            return self._kinds[deployment].get(place[0], "")
        return ",".join(f"{m}:{kind}" for m, kind in sorted(self._kinds[deployment].items()) if m != "*")


def _kinds(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Deployment and model to the type of the weights."""
    found: dict[str, dict[str, str]] = {d: {} for d in frame["deployment"].unique()}
    if "weights" in frame:
        for d, model, kind in frame[["deployment", "model", "weights"]].drop_duplicates().itertuples(index=False):
            found[d][model] = kind
    return found


def _deployments(frame: pd.DataFrame, metrics: list[str]) -> dict[tuple[str, Place], set[str]]:
    """Metric and place to the deployments that have a value there; every cell, and the headline over all."""
    own = frame[frame["metric"].isin(metrics) & (frame["value"] > 0)]
    found: dict[tuple[str, Place], set[str]] = {}
    for d, metric, *place in own[["deployment", "metric", *_PLACE]].drop_duplicates().itertuples(index=False):
        for where in ((place[0], place[1], place[2]), (ALL, ALL, ALL)):
            found.setdefault((metric, where), set()).add(d)
    return found
