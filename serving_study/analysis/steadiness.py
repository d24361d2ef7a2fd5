"""Whether points were steady, judged over lives: one life of few requests is too noisy to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

KEYS = ["deployment", "model", "language", "workload"]


def steadiness_rows(points: pd.DataFrame, limit: float) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.STEADINESS``: the mean drift of each point over its valid lives."""
    drift = points[(points["metric"] == "drift") & ~points["fatal"]]
    for key, lives in drift.groupby(KEYS, sort=True):
        values = lives["value"].dropna()
        mean = float(values.mean()) if len(values) else None
        yield {
            **dict(zip(KEYS, key, strict=True)),
            "drift": mean,
            "limit": limit,
            "steady": None if mean is None else abs(mean) <= limit,
            "lives": len(values),
        }
