"""Answers that stopped early took less work: what counts whole answers says nothing about who is faster."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from serving_study.analysis import tables
from serving_study.analysis.collect import comparable, left_out
from serving_study.analysis.compare import compare
from serving_study.analysis.recommendations import recommendation_rows
from serving_study.analysis.runs import compare_runs
from serving_study.study.types import Slo
from tests.analysis.made_up import aggregate, study, write_runs
from tests.analysis.synthetic import Truth, points

TRUTH = Truth(metrics=("output_throughput", "ttft_p50", "e2e_p50"), replicates=5)
CASES = {"quick": {"weights": {"e2e_p50": 1.0}, "workload": "c4"}, "start": {"weights": {"ttft_p50": 1.0}}}


def halved(truth: Truth = TRUTH, deployment: str = "four-slots") -> pd.DataFrame:
    """Points of a study in which one deployment gives half of each answer, and so ends it in half the time."""
    frame = points(truth)
    mine = frame["deployment"] == deployment
    short = mine & (frame["metric"] == "e2e_p50")
    return frame.assign(
        value=frame["value"].mask(short, frame["value"] / 2), codes=mine.map({True: "EARLY_STOP", False: ""})
    )


def compared(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    why = left_out(frame)
    return compare(frame[why == ""], short=frame[why == "early-stop"])


def test_half_answers_win_no_e2e_and_the_tables_say_why() -> None:
    pairs, champions = compared(halved())
    e2e = champions[champions["metric"] == "e2e_p50"]
    assert e2e["winner"].isna().all()
    assert set(zip(e2e["verdict"], e2e["reason"], strict=True)) == {("not-comparable", "early-stop")}
    assert set(e2e["scope"]) == {"headline", "cell"}
    of_e2e = pairs[pairs["metric"] == "e2e_p50"]
    assert len(of_e2e) == 1 + 2 * 3 * 2
    assert set(zip(of_e2e["verdict"], of_e2e["reason"], strict=True)) == {("not-comparable", "early-stop")}
    assert of_e2e[["ratio", "low", "high", "p_holm"]].isna().all(axis=None)


def test_without_the_code_the_same_numbers_would_win() -> None:
    _, champions = compared(halved().assign(codes=""))
    assert "four-slots" in set(champions[champions["metric"] == "e2e_p50"]["winner"])


def test_times_and_rates_per_token_of_short_answers_are_still_compared() -> None:
    pairs, _ = compared(halved())
    rest = pairs[pairs["metric"] != "e2e_p50"]
    assert set(rest["metric"]) == {"output_throughput", "ttft_p50"}
    assert rest["ratio"].notna().all()


def test_rivals_with_whole_answers_are_still_ranked() -> None:
    truth = Truth(deployments=("a", "b", "short"), metrics=("e2e_p50",), effects={"a": 1.3})
    pairs, champions = compared(halved(truth, "short"))
    headline = champions[champions["scope"] == "headline"]
    assert set(headline["winner"]) == {"a"}
    assert set(pairs[(pairs["a"] == "short") | (pairs["b"] == "short")]["verdict"]) == {"not-comparable"}


@pytest.mark.parametrize(
    ("metric", "kept"),
    [
        ("e2e_mean", False),
        ("e2e_sent_p50", False),
        ("request_throughput", False),
        ("goodput_interactive", False),
        ("attainment_whole", False),
        ("attainment_interactive", True),
        ("output_throughput", True),
        ("tpot_p50", True),
        ("success_rate", True),
    ],
)
def test_what_counts_whole_answers_is_left_out(metric: str, kept: bool) -> None:
    slos = {"interactive": Slo(ttft_ms=500), "whole": Slo(e2e_ms=1000)}
    frame = halved().assign(metric=metric)
    assert ("four-slots" in set(comparable(frame, slos)["deployment"])) == kept


def test_no_use_case_is_decided_by_the_e2e_of_short_answers() -> None:
    frame, s = halved(), study(TRUTH, use_cases=CASES)
    why = left_out(frame)
    rows = recommendation_rows(s, frame[why == ""], pd.DataFrame(), frame[why == "early-stop"])
    quick, start = rows
    assert (quick["verdict"], quick["winner"], quick["reason"]) == ("not-decided", None, "early-stop")
    assert quick["next_step"] == "equal-lengths"
    assert start["reason"] != "early-stop"


def test_two_runs_are_not_compared_by_the_e2e_of_short_answers() -> None:
    one = Truth(deployments=("four-slots",), metrics=TRUTH.metrics)
    found = compare_runs(points(one), halved(one))
    assert "e2e_p50" not in {row["metric"] for row in found.rows}
    assert [(m["metric"], m["missing_in"], m["reason"]) for m in found.missing] == [("e2e_p50", "after", "early-stop")]


def test_a_whole_study_names_no_e2e_champion_by_short_answers(tmp_path: Path) -> None:
    truth = Truth(metrics=("ttft_p50", "e2e_p50"), replicates=3, effects={"four-slots": 2.0})
    early = {("four-slots", language, r): "EARLY_STOP" for language in truth.languages for r in (1, 2, 3)}
    s = write_runs(tmp_path, truth, codes=early)
    champions = tables.CHAMPIONS.read(aggregate(tmp_path, s)).query("scope == 'headline'").set_index("metric")
    assert champions.loc["ttft_p50", "winner"] == "four-slots"
    assert (champions.loc["e2e_p50", "verdict"], champions.loc["e2e_p50", "reason"]) == ("not-comparable", "early-stop")
