"""The error rates that the method promises, over simulated studies whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from serving_study.analysis.cube import Cube
from serving_study.analysis.estimates import mean_over_lives
from serving_study.analysis.verdicts import Family, families
from tests.analysis.synthetic import Truth, cubes

STUDIES = 1000
MOST_FALSE = 65
"""Of 1,000 studies whose error rate is .05, more than 65 name a winner with a chance of about .02."""
FOUR = ("a", "b", "c", "d")
SMALL = Truth(models=("m",), workloads=("c1",), noisy_cell=4.0)
"""Three cells in a pool, one of them four times as noisy."""


@dataclass(frozen=True)
class Outcome:
    cube: Cube
    headline: Family
    cell: Family

    def naming_a_winner(self) -> int:
        return int(
            sum(np.any(f.champion >= 0, axis=(-1, -2, -3)) for f in (self.headline, self.cell)).astype(bool).sum()
        )

    def with_a_false_pair(self, truth: Truth) -> int:
        names = self.cube.deployments
        equal = [truth.effects.get(names[a], 1.0) == truth.effects.get(names[b], 1.0) for a, b in self.headline.pairs]
        found = [np.any(f.decided[:, equal], axis=(-1, -2, -3)) for f in (self.headline, self.cell)]
        return int((found[0] | found[1]).sum())


def outcome(truth: Truth, seed: int = 20260922) -> Outcome:
    cube = cubes(truth, STUDIES, seed)
    tail = np.array([m.endswith("p99") for m in cube.metrics])
    headline, cell = families(cube, {"headline": np.ones_like(tail), "cell": ~tail})
    return Outcome(cube, headline, cell)


@pytest.mark.parametrize(
    "truth",
    [
        Truth(),
        Truth(replicates=3),
        Truth(replicates=8),
        Truth(life_is="block"),
        Truth(noisier={"four-slots": 3.0}),
        Truth(cv_life=0.0),
        Truth(models=("m",), languages=("en",), workloads=("c1",)),
        Truth(deployments=FOUR),
        Truth(deployments=FOUR, noisier={"a": 4.0}),
        Truth(deployments=FOUR, life_is="block"),
        SMALL,
        replace(SMALL, languages=("en", "ko")),
    ],
    ids=str,
)
def test_studies_without_a_difference_name_a_winner_in_at_most_65_of_1000(truth: Truth) -> None:
    found = outcome(truth)
    assert found.naming_a_winner() <= MOST_FALSE
    assert found.with_a_false_pair(truth) <= MOST_FALSE


@pytest.mark.parametrize("effects", [{"a": 1.2}, {"a": 1.2, "b": 1.2}, {"a": 1.2, "b": 1.2, "c": 1.1}], ids=str)
def test_true_differences_lend_no_error_to_pairs_without_one(effects: dict[str, float]) -> None:
    truth = Truth(deployments=FOUR, effects=effects)
    assert outcome(truth).with_a_false_pair(truth) <= MOST_FALSE


@pytest.mark.parametrize("deployments", [("one-slot", "four-slots"), ("a", "b", "c", "four-slots")], ids=len)
def test_a_true_difference_of_20_percent_is_found_in_90_percent_at_five_lives(deployments: tuple[str, ...]) -> None:
    truth = Truth(deployments=deployments, effects={"four-slots": 1.2}, cv_life=0.025, cv_point=0.015)
    found = outcome(truth)
    best = truth.deployments.index("four-slots")
    claimed = found.cell.champion[:, 0, :4]
    assert (claimed == best).mean() >= 0.9
    assert (found.headline.champion[:, 0] == best).mean() >= 0.9
    assert not ((claimed >= 0) & (claimed != best)).any()


@pytest.mark.parametrize("truth", [Truth(), Truth(replicates=3), Truth(life_is="block"), Truth(cv_life=0.0)], ids=str)
def test_intervals_of_ratios_cover_the_truth(truth: Truth) -> None:
    found = outcome(truth)
    for family in (found.headline, found.cell):
        half = family.ratio.half_width(0.05)
        covered = np.abs(family.ratio.est) <= half
        assert covered.mean() >= 0.94, family.scope


def test_an_interval_of_a_cell_noisier_than_the_others_covers_the_truth_in_a_small_family() -> None:
    found = outcome(SMALL).cell
    covered = np.abs(found.ratio.est[..., 0]) <= found.ratio.half_width(0.05)[..., 0]
    assert covered.mean() >= 0.94
    assert np.median(found.ratio.df[..., 0]) == SMALL.replicates - 1


def test_simultaneous_intervals_exclude_one_exactly_where_a_pair_is_decided() -> None:
    found = outcome(Truth(deployments=FOUR, effects={"a": 1.05, "b": 1.1}))
    for family in (found.headline, found.cell):
        with np.errstate(invalid="ignore"):
            excludes = np.abs(family.ratio.est) >= family.ratio.half_width(family.local)
        claimed = np.broadcast_to(family.claimed, excludes.shape)
        assert (excludes[claimed] == family.decided[claimed]).all()


@pytest.mark.parametrize("replicates", [3, 5, 8])
def test_intervals_of_absolute_latency_cover_the_median_life(replicates: int) -> None:
    rng = np.random.default_rng(5)
    covered = []
    for values in np.exp(rng.normal(np.log(80e6), 0.05, (4 * STUDIES, replicates))):
        found = mean_over_lives(values)
        covered.append(found["low"] <= 80e6 <= found["high"])
    assert np.mean(covered) >= 0.94


def test_requests_of_one_life_make_no_interval() -> None:
    assert mean_over_lives(np.array([80e6]))["low"] is None
