"""Pooled paired log-ratios of two deployments: estimate, standard error and degrees of freedom.

Every function takes arrays whose leading axes are free, so that a thousand simulated studies cost one call.
The method and what it was chosen over: docs/decisions.md and docs/statistics.md.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from serving_study.analysis.cube import Floats, Ints

ALONE = 3.0
"""A cell whose variance is more than this many times that of the other cells of its pool stands alone, with its own lives only."""
TINY = 1e-12
"""Differences of logarithms below this are rounding, not measurement."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Log-ratios with their uncertainty; NaN where fewer than two lives are on either side."""

    est: Floats
    se: Floats
    df: Floats
    lives: Floats
    spread: Floats
    """Standard deviation of one pair of lives: what more lives divide."""

    @property
    def p(self) -> Floats:
        """Two-sided p-value of 'no difference'."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.est) / self.se
        p = np.asarray(2 * stats.t.sf(t, self.df))
        # deterministic values (no spread at all) differ or they do not
        exact = self.se < TINY
        p = np.where(exact, np.where(np.abs(self.est) < TINY, 1.0, 0.0), p)
        return np.where(np.isnan(self.se), np.nan, p)

    def half_width(self, alpha: Floats | float) -> Floats:
        """Half the width of the (1 - alpha) interval of the log-ratio."""
        return np.asarray(stats.t.ppf(1 - np.asarray(alpha) / 2, self.df)) * self.se


def of_cells(d: Floats, pool: Ints, group: Ints) -> Ratio:
    """Compare in each cell; ``d`` is log A - log B with shape (..., cell, block).

    The standard error takes the larger of the cell's own variance and the variance pooled over the cells of its load;
    degrees of freedom count server lives, not cells.
    """
    lives = np.asarray((~np.isnan(d)).sum(-1), dtype=float)
    est = _mean(d)
    own = _variance(d)
    pooled, others, df = (np.full_like(own, np.nan) for _ in range(3))
    for load in np.unique(pool):
        here = np.flatnonzero(pool == load)
        freedom = np.where(lives[..., here] > 1, lives[..., here] - 1, 0)
        squares = np.nan_to_num(own[..., here]) * freedom
        sums, total = squares.sum(-1, keepdims=True), freedom.sum(-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            pooled[..., here] = sums / total
            # a cell's own share of a small pool would hide how noisy it is
            others[..., here] = (sums - squares) / (total - freedom)
        df[..., here] = _lives_freedom(d[..., here, :], group[here])[..., None]
    with np.errstate(invalid="ignore"):
        alone = own > np.maximum(ALONE * others, TINY**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.fmax(own, pooled)
        usable = lives > 1
        se = np.where(usable, np.sqrt(variance / lives), np.nan)
    df = np.where(alone, lives - 1, np.maximum(df, lives - 1))
    return Ratio(est, se, np.where(usable, df, np.nan), lives, np.where(usable, np.sqrt(variance), np.nan))


def overall(d: Floats, group: Ints) -> Ratio:
    """One ratio over all cells, the geometric mean, with the noise between server lives.

    Cells that share lives move together, so each group of them gives one mean a block; groups are independent.
    """
    lives = np.asarray((~np.isnan(d)).sum(-1), dtype=float)
    d = np.where((lives > 1)[..., None], d, np.nan)
    means = _mean(d)
    present = ~np.isnan(means)
    cells = present.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        est = np.nansum(means, -1) / cells
    variance = np.zeros_like(est)
    spent = np.zeros_like(est)
    least = np.full_like(est, np.inf)
    for g in np.unique(group):
        here = np.flatnonzero(group == g)
        size = present[..., here].sum(-1)
        block = _mean((d[..., here, :] - means[..., here, None]).swapaxes(-1, -2))
        blocks = (~np.isnan(block)).sum(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = np.nansum(block**2, -1) / (blocks - 1)
            part = (size / cells) ** 2 * own / blocks
        used = size > 0
        variance += np.where(used, part, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spent += np.where(used, part**2 / (blocks - 1), 0)
        least = np.where(used, np.minimum(least, blocks), least)
    usable = cells > 0
    se = np.where(usable, np.sqrt(variance), np.nan)
    lives_each = np.where(usable, least, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(spent > 0, variance**2 / spent, lives_each - 1)
    return Ratio(
        np.where(usable, est, np.nan),
        se,
        np.where(usable, freedom, np.nan),
        lives_each,
        se * np.sqrt(lives_each),
    )


def _lives_freedom(d: Floats, group: Ints) -> Floats:
    """Pairs of lives that these cells hold, less one for each group's mean."""
    freedom = np.zeros(d.shape[:-2])
    for g in np.unique(group):
        seen = np.any(~np.isnan(d[..., group == g, :]), axis=-2)
        freedom += np.maximum(seen.sum(-1) - 1, 0)
    return freedom


def _mean(x: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(x, -1))


def _variance(x: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanvar(x, -1, ddof=1))
