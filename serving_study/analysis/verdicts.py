"""From log-ratios to verdicts: which pairs differ, and who beats every rival."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from serving_study.analysis.cube import Bools, Cube, Floats, Ints
from serving_study.analysis.families import budgets, holm
from serving_study.analysis.ratios import Ratio, of_cells, overall

LIVES_FOR_HEADLINE = 3
LIVES_FOR_CELLS = 5
POWER = 0.8
MOST_LIVES = 99


@dataclass(frozen=True, slots=True)
class Family:
    """All comparisons of one scope. Axes: (..., pair, metric, place) and (..., weights, metric, place)."""

    scope: str
    budget: float
    least: int
    """Fewest lives at which anything of this scope is claimed."""
    pairs: tuple[tuple[int, int], ...]
    ratio: Ratio
    claimed: Bools
    """(pair, metric, place): in the family at all: enough lives, and a metric that may be claimed and compared."""
    p_holm: Floats
    decided: Bools
    local: Floats
    last: Floats
    champion: Ints
    """Deployment that beats every rival, -1 for none; (..., weights, metric, place)."""
    leader: Ints
    """Deployment ahead of every rival whether or not it is decided, -1 for none."""
    champion_p: Floats
    champion_p_holm: Floats


def measured(cube: Cube) -> Bools:
    """(..., deployment, metric, cell): whether any life has a valid value."""
    return np.asarray(np.any(~np.isnan(cube.y), axis=-1))


def families(cube: Cube, claimable: dict[str, Bools], rivals: Bools | None = None) -> tuple[Family, Family]:
    """Headlines and cells of a cube.

    ``claimable[scope]`` says for each metric whether it may be claimed in that scope; ``rivals`` (deployment, deployment,
    metric), if given, takes pairs out that cannot be compared in a metric for another reason than their weights.
    """
    pairs = tuple(combinations(range(len(cube.deployments)), 2))
    d = np.stack([cube.y[..., a, :, :, :] - cube.y[..., b, :, :, :] for a, b in pairs], axis=-4)
    lives = int((~np.isnan(d)).sum(-1).max(initial=0))
    share = budgets(lives, LIVES_FOR_CELLS)
    present = measured(cube)
    whole = overall(d, cube.group)
    headline = _family(
        "headline",
        share["headline"],
        pairs,
        Ratio(*(getattr(whole, name)[..., None] for name in ("est", "se", "df", "lives", "spread"))),
        cube,
        cube.overall[:, None],
        np.any(present, axis=-1)[..., None],
        claimable["headline"],
        rivals,
        LIVES_FOR_HEADLINE,
    )
    cells = _family(
        "cell",
        share["cell"],
        pairs,
        of_cells(d, cube.pool, cube.group),
        cube,
        cube.weights,
        present,
        claimable["cell"] & (share["cell"] > 0),
        rivals,
        LIVES_FOR_CELLS,
    )
    return headline, cells


def _family(
    scope: str,
    budget: float,
    pairs: tuple[tuple[int, int], ...],
    ratio: Ratio,
    cube: Cube,
    label: Ints,
    present: Bools,
    claimable: Bools,
    rivals: Bools | None,
    least: int,
) -> Family:
    a, b = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    alike = (label[a] == label[b])[:, None, :] & np.ones((1, len(cube.metrics), 1), dtype=bool)
    tested = claimable[None, :, None] & (ratio.lives >= least)
    if rivals is not None:
        alike &= rivals[a, b][:, :, None]
        tested = tested & rivals[a, b][:, :, None]
    p = np.where(tested, ratio.p, np.nan)
    each = holm(_flat(p), budget)
    champion = _champions(p, ratio.est, pairs, cube, label, alike, present, claimable, budget)
    shape = p.shape
    p_holm, local = np.reshape(each.adjusted, shape), np.reshape(each.local, shape)
    decided: Bools = np.reshape(each.holds, shape)
    # a champion's claim decides its pairs, too: it rests on the largest of their p-values
    for w, row in enumerate(champion.labels):
        for i, (left, right) in enumerate(pairs):
            won = (champion.winner[..., w, :, :] == left) | (champion.winner[..., w, :, :] == right)
            won = won & alike[i] & (label[left] == row)[None, :]
            decided[..., i, :, :] |= won
            p_holm[..., i, :, :] = np.where(
                won, np.fmin(p_holm[..., i, :, :], champion.p_holm[..., w, :, :]), p_holm[..., i, :, :]
            )
            local[..., i, :, :] = np.where(
                won, np.fmax(local[..., i, :, :], champion.local[..., w, :, :]), local[..., i, :, :]
            )
    return Family(
        scope, budget, least, pairs, ratio, tested, p_holm, decided, local, each.last,
        champion.winner, champion.leader, champion.p, champion.p_holm,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Champions:
    labels: Ints
    winner: Ints
    leader: Ints
    p: Floats
    p_holm: Floats
    local: Floats


def _champions(
    p: Floats,
    est: Floats,
    pairs: tuple[tuple[int, int], ...],
    cube: Cube,
    label: Ints,
    alike: Bools,
    present: Bools,
    claimable: Bools,
    budget: float,
) -> _Champions:
    """One claim for each type of weights, metric and place: the deployment ahead of all its rivals, with its largest p."""
    labels = np.unique(label[label >= 0])
    lead = p.shape[:-3]
    shape = (*lead, len(labels), *p.shape[-2:])
    leader = np.full(shape, -1, dtype=np.int64)
    worst = np.full(shape, np.nan)
    for w, row in enumerate(labels):
        mine = (label == row)[:, None, :] & present
        many = mine.sum(-3) > 1
        worst[..., w, :, :] = np.where(many & claimable[:, None], 1.0, np.nan)
        for e in range(len(cube.deployments)):
            ahead = mine[..., e, :, :] & many
            largest = np.zeros(ahead.shape)
            for i, (left, right) in enumerate(pairs):
                if e not in (left, right):
                    continue
                rival = mine[..., right if e == left else left, :, :]
                side = est[..., i, :, :] * cube.sign[:, None] * (1 if e == left else -1)
                with np.errstate(invalid="ignore"):
                    beats = (side > 0) & alike[i] & ~np.isnan(p[..., i, :, :])
                ahead = ahead & (beats | ~rival)
                largest = np.where(rival, np.fmax(largest, p[..., i, :, :]), largest)
            leader[..., w, :, :] = np.where(ahead, e, leader[..., w, :, :])
            worst[..., w, :, :] = np.where(ahead & claimable[:, None], largest, worst[..., w, :, :])
    each = holm(_flat(worst), budget)
    adjusted, local = np.reshape(each.adjusted, shape), np.reshape(each.local, shape)
    winner = np.where(np.reshape(each.holds, shape) & (leader >= 0), leader, -1)
    return _Champions(labels, winner, leader, worst, adjusted, local)


def _flat(x: Floats) -> Floats:
    return np.asarray(np.reshape(x, (*x.shape[:-3], -1)))


def lives_to_show(ratio: Ratio, at: tuple[int, ...], alpha: float, least: int) -> int | None:
    """Lives at which a true ratio of the size seen would be shown with a power of .8, tested at ``alpha``.

    None beyond 99, or where nothing differs or varies.
    """
    est, spread, lives = abs(ratio.est[at]), ratio.spread[at], ratio.lives[at]
    if not (lives > 1 and spread > 0 and est > 0):
        return None
    count = np.arange(max(lives + 1, least), MOST_LIVES + 1)
    df = ratio.df[at] / (lives - 1) * (count - 1)
    shown = est * np.sqrt(count) / spread >= stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(POWER, df)
    return int(count[np.argmax(shown)]) if shown.any() else None
