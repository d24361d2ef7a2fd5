"""Decisions and recommendations: answers that the numbers allow, or what would decide them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from serving_study.analysis import answers
from serving_study.analysis.capacity import capacity_rows, share_interval, users
from serving_study.analysis.compare import compare
from serving_study.analysis.decisions import Evidence, _kv_tokens, decision_rows
from serving_study.analysis.languages import language_rows
from serving_study.analysis.recommendations import recommendation_rows, score_rows
from serving_study.study.types import Study
from tests.analysis.made_up import study
from tests.analysis.synthetic import Truth, points
from tests.analysis.test_languages import Asked

LOADS = ("c1", "c4", "c16")
TRUTH = Truth(workloads=LOADS, effects={"four-slots": 1.3}, metrics=("output_throughput", "ttft_p50", "tpot_p50"))
CASES = {
    "throughput-api": {"weights": {"output_throughput": 1.0}, "workload": "c4"},
    "lowest-latency": {"weights": {"ttft_p50": 2.0, "tpot_p50": 1.0}, "workload": "c1"},
    "memory-constrained": {"weights": {"memory_peak": 1.0}},
}


def attainment(truth: Truth, kept: Mapping[str, Mapping[str, float]], requests: int = 200) -> pd.DataFrame:
    """Points of attainment: deployment to load to the share of requests that kept the objective."""
    base = points(Truth(**{**vars(truth), "metrics": ("ttft_p50",)}))
    value = [kept[d][w] for d, w in zip(base["deployment"], base["workload"], strict=True)]
    noise = np.random.default_rng(1).normal(0, 0.002, len(base))
    shares = np.clip(np.array(value) + noise, 0, 1)
    return base.assign(
        metric="attainment_interactive", value=shares, unit="1", better="higher", n=requests, needs=1, reason=None
    )


def decide(s: Study, frame: pd.DataFrame, kv: Mapping[tuple[str, str], float] | None = None) -> pd.DataFrame:
    pairs, _ = compare(frame)
    languages = answers.LANGUAGES.frame(language_rows(s, [Asked()], frame))  # type: ignore[list-item]
    capacity = answers.CAPACITY.frame(capacity_rows(s, frame))
    return answers.DECISIONS.frame(decision_rows(Evidence(s, frame, pairs, capacity, languages, kv or {})))


STEPS = {
    "one-slot": {"c1": 0.99, "c4": 0.5, "c16": 0.1},
    "four-slots": {"c1": 0.99, "c4": 0.97, "c16": 0.3},
}


@pytest.fixture(scope="module")
def decisions() -> pd.DataFrame:
    frame = pd.concat([points(TRUTH), attainment(TRUTH, STEPS)], ignore_index=True)
    s = study(TRUTH, usd_per_hour=3.6)
    kv = {("four-slots", "smollm2-135m"): 4 * 1024 * 10_000.0}
    return decide(s, frame, kv).set_index(["question", "case", "deployment"]).sort_index()


def test_every_question_is_answered_or_says_what_would_answer_it(decisions: pd.DataFrame) -> None:
    asked = set(decisions.index.get_level_values("question"))
    assert asked == {"slo", "users", "cost", "kv-tokens", "language", "weights", "version"}
    open_ones = decisions[decisions["verdict"] == "not-decided"]
    assert open_ones["next_step"].notna().all()
    assert set(open_ones.loc["version"]["next_step"]) == {"another-version"}


def test_users_are_the_most_that_keep_the_objective_with_the_fewest_that_miss_it(decisions: pd.DataFrame) -> None:
    found = decisions.loc["users", "interactive"]
    assert tuple(found.loc["one-slot", ["value", "high"]]) == (1, 4)
    assert tuple(found.loc["four-slots", ["value", "high"]]) == (4, 16)


def test_the_deployment_that_carries_more_users_is_named(decisions: pd.DataFrame) -> None:
    row = decisions.loc[("slo", "interactive", "")]
    assert (row["verdict"], row["winner"]) == ("champion", "four-slots")


def test_a_million_tokens_cost_the_price_of_the_time_that_they_take(decisions: pd.DataFrame) -> None:
    row = decisions.loc[("cost", "c4", "four-slots")]
    speed = points(TRUTH).query("metric == 'output_throughput' and workload == 'c4' and deployment == 'four-slots'")
    by_hand = (3.6 / 3600 / speed["value"] * 1e6).groupby(speed["block"]).mean()
    assert row["value"] == pytest.approx(np.exp(np.log(by_hand).mean()))
    assert row["low"] < row["value"] < row["high"]


def test_tokens_of_a_gigabyte_of_kv_cache(decisions: pd.DataFrame) -> None:
    row = decisions.loc[("kv-tokens", "gigabyte", "four-slots")]
    assert row["value"] == pytest.approx(1e9 / 10_000)


def test_tokens_of_a_gigabyte_are_the_engines_own_where_it_tells_them() -> None:
    kv = {("four-slots", "m"): 2e9}
    evidence = Evidence(
        study(TRUTH), pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), kv, {("four-slots", "m"): 50_000}
    )
    (answer,) = _kv_tokens(evidence)
    assert answer["value"] == pytest.approx(25_000)


def test_the_same_steps_kept_by_both_decide_nothing() -> None:
    same = {"one-slot": STEPS["four-slots"], "four-slots": STEPS["four-slots"]}
    rows = decide(study(TRUTH), pd.concat([points(TRUTH), attainment(TRUTH, same)], ignore_index=True))
    row = rows[(rows["question"] == "slo")].iloc[0]
    assert (row["verdict"], row["reason"], row["next_step"]) == ("not-decided", "equal-steps", "loads-between")


def test_a_load_that_nobody_misses_asks_for_more_load() -> None:
    light = dict.fromkeys(TRUTH.deployments, dict.fromkeys(LOADS, 0.99))
    rows = decide(study(TRUTH), pd.concat([points(TRUTH), attainment(TRUTH, light)], ignore_index=True))
    assert set(rows[rows["question"] == "users"]["verdict"]) == {"at-least"}
    assert rows[rows["question"] == "slo"].iloc[0]["next_step"] == "more-load"


def test_twelve_requests_cannot_show_that_ninety_percent_keep_an_objective() -> None:
    few = attainment(TRUTH, STEPS, requests=4).query("replicate <= 3")
    s = study(TRUTH)
    capacity = answers.CAPACITY.frame(capacity_rows(s, few))
    assert "kept" not in set(capacity["verdict"])
    found = users(s, capacity, "interactive", "four-slots")
    assert found is not None and found.undecided


def test_an_objective_is_not_kept_where_a_cell_of_the_mix_was_left_out() -> None:
    whole = attainment(TRUTH, STEPS)
    lost = (whole["deployment"] == "four-slots") & (whole["workload"] == "c4") & (whole["language"] == "ko")
    frame = pd.concat([points(TRUTH), whole[~lost]], ignore_index=True)
    rows = decide(study(TRUTH), frame).set_index(["question", "case", "deployment"]).sort_index()
    row = rows.loc[("users", "interactive", "four-slots")]
    assert (row["verdict"], row["reason"]) == ("not-decided", "cells-left-out")
    assert pd.isna(rows.loc[("slo", "interactive", ""), "winner"])


def test_requests_that_all_kept_it_leave_room_for_one_that_would_not() -> None:
    lives = pd.DataFrame({"value": [1.0, 1.0, 1.0], "n": [12, 12, 12]})
    low, high = share_interval(lives, 0.95)
    assert 0.89 < low < 0.92 and high == 1.0


def recommend(truth: Truth, frame: pd.DataFrame | None = None, **changes: object) -> pd.DataFrame:
    frame = points(truth) if frame is None else frame
    s = study(truth, **{"use_cases": CASES, **changes})
    capacity = answers.CAPACITY.frame(capacity_rows(s, frame))
    return answers.RECOMMENDATIONS.frame(recommendation_rows(s, frame, capacity)).set_index("use_case")


def test_a_clear_lead_is_recommended_with_its_numbers_and_what_would_change_it() -> None:
    found = recommend(TRUTH)
    row = found.loc["throughput-api"]
    assert (row["verdict"], row["winner"], row["runner_up"]) == ("recommended", "four-slots", "one-slot")
    assert 1 < row["low"] < row["score"] < row["high"]
    s = study(TRUTH, use_cases=CASES)
    scores = answers.SCORES.frame(score_rows(s, points(TRUTH)))
    shown = scores[scores["use_case"] == "lowest-latency"]
    assert set(zip(shown["metric"], shown["deployment"], strict=True)) == {
        (m, d) for m in ("ttft_p50", "tpot_p50") for d in TRUTH.deployments
    }


def scored(truth: Truth, cases: Mapping[str, object], **changes: object) -> pd.DataFrame:
    s = study(truth, **{"use_cases": cases, **changes})
    return answers.SCORES.frame(score_rows(s, points(truth)))


def test_scores_of_a_use_case_of_one_model_are_those_of_that_model() -> None:
    case = {"single": {"models": ["gemma3-270m"], "workload": "c1", "weights": {"ttft_p50": 1}}}
    found = scored(TRUTH, case).set_index("deployment")["value"]
    own = points(TRUTH).query("model == 'gemma3-270m' and workload == 'c1' and metric == 'ttft_p50'")
    for deployment, values in own.groupby("deployment"):
        assert found[deployment] == pytest.approx(np.exp(np.log(values["value"]).mean()))


def test_a_use_case_of_a_load_that_was_not_measured_shows_no_numbers_of_other_loads() -> None:
    case = {"multi": {"together": True, "weights": {"output_throughput": 1}}}
    assert scored(TRUTH, case).empty
    together = Truth(**{**vars(TRUTH), "workloads": ("c1", "t2")})
    found = scored(together, case).set_index("deployment")["value"]
    own = points(together).query("workload == 't2' and metric == 'output_throughput' and deployment == 'one-slot'")
    assert found["one-slot"] == pytest.approx(np.exp(np.log(own["value"]).mean()))


def test_scores_are_over_the_cells_that_every_candidate_has() -> None:
    frame = points(TRUTH)
    frame = frame[(frame["deployment"] != "one-slot") | (frame["language"] == "en")]
    s = study(TRUTH, use_cases={"any": {"weights": {"ttft_p50": 1}}})
    found = answers.SCORES.frame(score_rows(s, frame)).set_index("deployment")["value"]
    own = frame.query("deployment == 'four-slots' and language == 'en' and metric == 'ttft_p50'")
    assert found["four-slots"] == pytest.approx(np.exp(np.log(own["value"]).mean()))


def test_a_deployment_that_lacks_a_model_of_the_use_case_has_no_score() -> None:
    s = study(TRUTH, use_cases={"any": {"weights": {"ttft_p50": 1}}})
    fewer = s.deployments["one-slot"].model_copy(update={"models": ("smollm2-135m",)})
    s = s.model_copy(update={"deployments": {**s.deployments, "one-slot": fewer}})
    assert set(answers.SCORES.frame(score_rows(s, points(TRUTH)))["deployment"]) == {"four-slots"}


def test_a_use_case_whose_metric_was_not_measured_is_not_decided() -> None:
    row = recommend(TRUTH).loc["memory-constrained"]
    assert (row["verdict"], row["reason"], row["next_step"]) == ("not-decided", "not-measured", "measure:memory_peak")


def test_equal_deployments_are_not_recommended_and_lives_needed_are_told() -> None:
    row = recommend(Truth(workloads=LOADS)).loc["throughput-api"]
    assert (row["verdict"], row["next_step"]) == ("not-decided", "more-lives")
    assert pd.isna(row["winner"])


def test_two_metrics_that_disagree_name_the_weight_at_which_the_answer_changes() -> None:
    frame = points(TRUTH)
    slow_start = (frame["deployment"] == "four-slots") & (frame["metric"] == "ttft_p50")
    frame.loc[slow_start, "value"] *= 1.3**1.5
    case = {"mixed": {"weights": {"ttft_p50": 1.0, "tpot_p50": 1.0}, "workload": "c1"}}
    row = recommend(TRUTH, frame, use_cases=case).loc["mixed"]
    assert row["leader"] == "four-slots"
    assert row["flip_metric"] in ("ttft_p50", "tpot_p50")
    heavier = {
        "weights": {"ttft_p50": 1.0, "tpot_p50": 1.0} | {row["flip_metric"]: row["flip_weight"]},
        "workload": "c1",
    }
    level = recommend(TRUTH, frame, use_cases={"mixed": heavier}).loc["mixed"]
    assert level["score"] == pytest.approx(1.0, abs=1e-6) or level["leader"] is None


def test_a_case_of_several_models_needs_a_load_on_all_of_them_together() -> None:
    case = {"multi": {"weights": {"output_throughput": 1.0}, "together": True}}
    row = recommend(TRUTH, use_cases=case).loc["multi"]
    assert (row["verdict"], row["next_step"]) == ("not-decided", "load-together")


def test_an_objective_excludes_who_misses_it_before_scores_are_weighed() -> None:
    frame = pd.concat([points(TRUTH), attainment(TRUTH, STEPS)], ignore_index=True)
    cases = {"api": {"slo": "interactive", "weights": {"output_throughput": 1.0}, "workload": "c4"}}
    row = recommend(TRUTH, frame, use_cases=cases).loc["api"]
    assert (row["verdict"], row["winner"], row["reason"]) == ("recommended", "four-slots", "only-one-keeps-slo")
    assert row["excluded"] == "one-slot:slo-missed"


def test_recommendations_stay_among_equal_weights() -> None:
    found = recommend(Truth(**{**vars(TRUTH), "weights": {"four-slots": "F16"}}))
    assert set(found["reason"]) == {"no-rival"}
    assert found["winner"].isna().all()


def test_random_data_recommend_nothing_in_nineteen_of_twenty_studies() -> None:
    named = sum(
        (recommend(Truth(models=("m",), workloads=("c1", "c4")), points(Truth(models=("m",), workloads=("c1", "c4")), seed))[
            "verdict"
        ] == "recommended").any()
        for seed in range(60)
    )  # fmt: skip
    assert named <= 8


LIGHT = Truth(
    deployments=("a", "b"), workloads=("c4",), metrics=("output_throughput",), effects={"b": 1.5}, weights={"b": "F16"}
)


def of_weights(**changes: object) -> pd.DataFrame:
    """Answers about another type of weights, where deployment ``b`` differs from ``a`` in more than that."""
    s = study(LIGHT)
    own = {**s.deployments, "b": s.deployments["b"].model_copy(update=changes)}
    rows = decide(s.model_copy(update={"deployments": own}), points(LIGHT))
    return rows[rows["question"] == "weights"].reset_index(drop=True)


@pytest.mark.parametrize("changes", [{}, {"options": {"dtype": "float16"}}], ids=str)
def test_another_type_of_weights_is_judged_where_nothing_else_differs(changes: dict[str, object]) -> None:
    (row,) = of_weights(**changes).to_dict("records")
    assert (row["verdict"], row["winner"]) == ("slower", "b")
    assert row["reason"] == "quality-not-measured"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"engine": "vllm"}, "engine-differs"),
        ({"version": "another"}, "engine-differs"),
        ({"slots": 8}, "settings-differ"),
        ({"options": {"enforce-eager": True}}, "settings-differ"),
    ],
    ids=str,
)
def test_another_type_of_weights_is_not_judged_by_another_engine(changes: dict[str, object], reason: str) -> None:
    (row,) = of_weights(**changes).to_dict("records")
    assert (row["verdict"], row["reason"], row["next_step"]) == ("not-decided", reason, "other-weights")
    assert pd.isna(row["winner"]) and pd.isna(row["value"])


def test_equal_weights_are_no_answer_about_weights() -> None:
    same = Truth(**{**vars(LIGHT), "weights": {}})
    rows = decide(study(same), points(same))
    assert set(rows[rows["question"] == "weights"]["next_step"]) == {"other-weights"}
    assert set(rows[rows["question"] == "weights"]["reason"]) == {"not-measured"}
