"""Words follow numbers: turn the numbers around and every verdict turns with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving_study.analysis.compare import compare
from serving_study.analysis.compared import compared
from serving_study.analysis.facts import Fact
from serving_study.study.errors import StudyError
from tests.analysis.synthetic import Truth, points

TURNED = {
    "better": "worse", "worse": "better", "faster": "slower", "slower": "faster", "less": "more", "more": "less",
}  # fmt: skip
studies = st.builds(
    Truth,
    deployments=st.just(("a", "b", "c")),
    models=st.just(("m", "n")),
    languages=st.just(("en", "ko")),
    workloads=st.just(("c1",)),
    metrics=st.just(("output_throughput", "ttft_p50", "memory_peak")),
    replicates=st.integers(1, 6),
    effects=st.fixed_dictionaries({}, optional={d: st.floats(0.5, 2.0) for d in "abc"}),
    cv_life=st.floats(0.0, 0.2),
    noisier=st.fixed_dictionaries({}, optional={d: st.floats(0.2, 5.0) for d in "abc"}),
)
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def facts(frame: pd.DataFrame) -> dict[str, Fact]:
    return {f.id: f for f in compared(*compare(frame))}


def turned(value: Any) -> Any:
    return TURNED.get(value, value)


@many
@given(truth=studies, seed=seeds)
def test_swapping_two_deployments_swaps_what_is_said_of_them(truth: Truth, seed: int) -> None:
    frame = points(truth, seed)
    swapped = frame.assign(deployment=frame["deployment"].map({"a": "b", "b": "a", "c": "c"}))
    before, after = facts(frame), facts(swapped)
    for found in (
        f for f in before.values() if f.id.startswith("verdict/") and f.subject["a"] == "a" and f.subject["b"] == "b"
    ):
        other = after[found.id]
        assert other.value == turned(found.value), found.id
        if found.low is not None and found.high is not None:
            assert other.low == pytest.approx(1 / found.high, rel=1e-6)
            assert other.high == pytest.approx(1 / found.low, rel=1e-6)
    swap = {"a": "b", "b": "a"}
    for found in (f for f in before.values() if f.id.startswith("champion/")):
        assert after[found.id].value == found.value
        winner = found.subject["winner"]
        assert after[found.id].subject["winner"] == swap.get(str(winner), winner)


@many
@given(truth=studies, seed=seeds, count=st.sampled_from([2, 3]))
def test_inverting_every_number_turns_every_verdict(truth: Truth, seed: int, count: int) -> None:
    frame = points(truth, seed)
    frame = frame[frame["deployment"].isin(["a", "b", "c"][:count])]
    before, after = facts(frame), facts(frame.assign(value=1e9 / frame["value"]))
    for found in (f for f in before.values() if f.id.startswith("verdict/")):
        # among three, the best of all is claimed and the worst is not: a pair may lose its claim, never keep its words
        allowed = {turned(found.value)} | ({"no-clear-winner", *TURNED} - {found.value} if count > 2 else set())
        assert after[found.id].value in allowed, found.id


@many
@given(truth=studies, seed=seeds)
def test_no_fact_contradicts_another(truth: Truth, seed: int) -> None:
    found = facts(points(truth, seed))
    verdicts = [f for f in found.values() if f.id.startswith("verdict/")]
    for f in verdicts:
        decided = f.value in TURNED
        # an interval beside a claim excludes 1 exactly where the claim names a winner
        if f.low is not None and f.high is not None:
            assert decided == (f.low > 1 or f.high < 1), f.id
        assert decided == (f.id.replace("verdict/", "advantage/") in found)
    for f in (f for f in found.values() if f.id.startswith("advantage/")):
        assert f.low is not None and f.value is not None
        assert 1 < f.low <= float(f.value)
    for champion in (f for f in found.values() if f.value == "champion"):
        place = {k: champion.subject[k] for k in ("scope", "metric", "model", "language", "workload")}
        mine = [v for v in verdicts if all(v.subject[k] == w for k, w in place.items())]
        winner = champion.subject["winner"]
        beaten = {
            v.subject["b" if v.subject["a"] == winner else "a"]
            for v in mine
            if winner in (v.subject["a"], v.subject["b"])
            and v.value in (("better", "faster", "less") if v.subject["a"] == winner else ("worse", "slower", "more"))
        }
        assert beaten == set(str(champion.subject["rivals"]).split(",")) - {winner}


@many
@given(seed=seeds, replicates=st.integers(1, 8))
def test_order_of_rows_and_names_of_lives_change_nothing(seed: int, replicates: int) -> None:
    truth = Truth(deployments=("a", "b"), replicates=replicates, metrics=("output_throughput",), workloads=("c1",))
    frame = points(truth, seed)
    shuffled = frame.sample(frac=1, random_state=seed % 1000).assign(life=lambda f: "x" + f["life"])
    for before, after in zip(compare(frame), compare(shuffled), strict=True):
        pd.testing.assert_frame_equal(before, after)


def test_random_numbers_name_no_champion() -> None:
    rng = np.random.default_rng(20260922)
    truth = Truth(deployments=("a", "b", "c"))
    named = 0
    for seed in range(30):
        frame = points(truth, seed)
        value = np.exp(rng.normal(4, 0.3, len(frame)))
        named += bool(compare(frame.assign(value=value))[1]["winner"].notna().any())
    assert named <= 5


def test_a_frame_without_a_needed_column_is_refused_by_name() -> None:
    with pytest.raises(StudyError, match="no column better, block"):
        compare(points(Truth(replicates=1)).drop(columns=["better", "block"]))


def test_one_life_ranks_nothing() -> None:
    pairs, champions = compare(points(Truth(replicates=1, effects={"four-slots": 9.0})))
    assert set(pairs["verdict"]) == {"not-decided"} and set(pairs["reason"]) == {"one-life"}
    assert pairs[["low", "high", "ratio"]].isna().all(axis=None)
    assert champions["winner"].isna().all()


def test_blocks_of_another_day_or_host_are_not_paired() -> None:
    frame = points(Truth(replicates=5, effects={"four-slots": 1.3}))
    again = (frame["deployment"] == "four-slots") & (frame["replicate"] > 3)
    pairs, _ = compare(frame.assign(block=frame["block"].where(~again, "another-day")))
    assert set(pairs.query("scope == 'cell'")["lives"]) == {3}


def test_a_cell_of_four_lives_is_claimed_by_nobody_beside_cells_of_five() -> None:
    frame = points(Truth(replicates=5, effects={"four-slots": 1.5}))
    lost = (frame["deployment"] == "four-slots") & (frame["language"] == "ko") & (frame["replicate"] == 5)
    pairs, champions = compare(frame[~lost])
    for table in (pairs, champions):
        cells = table[(table["scope"] == "cell") & (table["metric"] == "ttft_p50")]
        few, enough = (cells[cells["language"] == language] for language in ("ko", "en"))
        assert set(few["lives"]) == {4}
        assert set(zip(few["verdict"], few["reason"], strict=True)) == {("not-decided", "few-lives")}
        assert set(enough["lives"]) == {5} and enough["reason"].isna().all()


def test_champions_stand_only_among_equal_weights() -> None:
    truth = Truth(deployments=("a", "b", "c"), effects={"c": 2.0, "a": 1.3}, weights={"c": "F16"})
    pairs, champions = compare(points(truth))
    assert set(champions["winner"].dropna()) == {"a"}
    alone = champions[champions["weights"].str.contains("F16")]
    assert set(alone["verdict"]) == {"no-rival"}
    unequal = pairs[(pairs["b"] == "c") & (pairs["scope"] == "headline")]
    assert not unequal["equal_weights"].any()
    assert unequal["ratio"].notna().all()


def test_more_lives_are_needed_for_a_smaller_difference() -> None:
    needed = []
    for effect in (1.015, 1.025):
        pairs, _ = compare(points(Truth(effects={"four-slots": effect}, cv_life=0.03), seed=3))
        rows = pairs.query("scope == 'cell' and verdict == 'no-clear-winner'")
        needed.append(rows["lives_needed"].dropna().median())
        assert (rows["lives_needed"].dropna() > rows["lives"].max()).all()
    assert needed[0] > needed[1]
