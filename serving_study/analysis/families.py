"""Many claims, one error budget: Holm's method over a named family, and intervals that agree with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving_study.analysis.cube import Bools, Floats

ALPHA = 0.05
"""Chance that a study without any difference claims one, over all of its headlines and cells."""


@dataclass(frozen=True, slots=True)
class Holm:
    """What Holm's method says of each claim; arrays have the shape of the p-values."""

    adjusted: Floats
    """p-value after Holm; NaN where nothing was claimed."""
    holds: Bools
    local: Floats
    """Share of the budget that each claim was tested at: its simultaneous interval has the level 1 - local."""
    last: Floats
    """(leading axes) the share that a claim not yet decided has to pass."""


def holm(p: Floats, budget: float) -> Holm:
    """Holm over the last axis; NaN is no claim and takes no part."""
    order = np.argsort(p, axis=-1, kind="stable")  # NaN sorts last
    sorted_p = np.take_along_axis(p, order, -1)
    claims = (~np.isnan(p)).sum(-1, keepdims=True)
    left = np.maximum(claims - np.arange(p.shape[-1]), 1)
    adjusted_sorted = np.minimum(np.maximum.accumulate(sorted_p * left, axis=-1), 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, adjusted_sorted, -1)
    share = np.empty_like(p)
    np.put_along_axis(share, order, budget / left, -1)
    with np.errstate(invalid="ignore"):
        holds = np.asarray(adjusted <= budget)
    last = budget / np.maximum(claims - holds.sum(-1, keepdims=True), 1)
    local = np.where(holds, share, np.broadcast_to(last, p.shape))
    return Holm(adjusted, holds, np.where(np.isnan(p), np.nan, local), last[..., 0])


def budgets(lives: int, for_cells: int) -> dict[str, float]:
    """Each family's part of the error budget: half each, or all for the headlines where cells are not claimed."""
    if lives >= for_cells:
        return {"headline": ALPHA / 2, "cell": ALPHA / 2}
    return {"headline": ALPHA, "cell": 0.0}
