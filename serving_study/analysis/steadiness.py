"""Whether points were steady, judged over lives: one life of few requests is too noisy to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from serving_study.analysis.verdicts import LIVES_FOR_HEADLINE

KEYS = ["deployment", "model", "language", "workload"]


def steadiness_rows(points: pd.DataFrame, limit: float) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.STEADINESS``: the mean drift of each point over its valid lives.

    It is judged from as many lives as a headline takes: with fewer the noise of one life passes for a drift.
    """
    drift = points[(points["metric"] == "drift") & ~points["fatal"]]
    for key, lives in drift.groupby(KEYS, sort=True, observed=True):
        values = lives["value"].dropna()
        mean = float(values.mean()) if len(values) else None
        judged = mean is not None and len(values) >= LIVES_FOR_HEADLINE
        yield {
            **dict(zip(KEYS, key, strict=True)),
            "drift": mean,
            "limit": limit,
            "steady": abs(mean) <= limit if mean is not None and judged else None,
            "lives": len(values),
            "reason": None if judged else _why_not(lives["reason"]),
        }


def _why_not(reasons: pd.Series[str]) -> str:
    """What most lives without a value gave as their reason; too few lives where they all have one."""
    said = reasons.dropna().astype(str)
    return str(said.value_counts(sort=True).index[0]) if len(said) else "few-lives"
