"""Languages: the cost of the same content, never the length of the answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from serving_study.analysis import answers, tables
from serving_study.analysis.collect import Measured, comparable
from serving_study.analysis.interference import alone, interference_rows, reference
from serving_study.analysis.languages import NONCE, language_rows
from serving_study.study.types import Study
from tests.analysis.made_up import aggregate, study, write_runs
from tests.analysis.synthetic import Truth, points

TRUTH = Truth(deployments=("one-slot",), models=("m",), workloads=("c4",), cv_life=0.0, cv_point=0.0, cv_block=0.02)


class Asked:
    """Requests of one cell: the same prompts in three languages."""

    requests = pd.DataFrame(
        {
            "workload": "c4",
            "language": language,
            "prompt": f"question-{i:02}",
            "prompt_chars": NONCE + chars,
        }
        for language, chars in (("en", 100), ("zh", 30), ("ko", 60))
        for i in range(12)
    )


def languages(metrics: dict[str, dict[str, float]]) -> pd.DataFrame:
    """The table of languages when each metric has these values in each language, times noise that a block shares."""
    base = points(Truth(**{**vars(TRUTH), "metrics": ("e2e_p50",)}))
    noise = base["value"] / base.groupby("language")["value"].transform("mean")
    frames = [
        base.assign(metric=name, value=base["language"].map(values) * (noise if name.startswith("t") else 1))
        for name, values in metrics.items()
    ]
    asked: list[Measured] = [Asked()]  # type: ignore[list-item]
    return answers.LANGUAGES.frame(language_rows(study(TRUTH), asked, comparable(pd.concat(frames, ignore_index=True))))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    same = {"en": 12e6, "zh": 12e6, "ko": 12e6}
    frame = languages(
        {
            "ttft_p50": {k: v * 4 for k, v in same.items()},
            "tpot_p50": same,
            "output_tokens_mean": {"en": 24.0, "zh": 24.0, "ko": 12.0},
            "output_throughput": dict.fromkeys(same, 80.0),
            "tokens_per_character": {"en": 0.25, "zh": 0.8, "ko": 1.5},
        }
    )
    return frame.set_index(["measure", "language"])


def test_short_answers_make_a_language_no_faster(table: pd.DataFrame) -> None:
    assert table.loc[("answer-length", "ko"), "value"] == pytest.approx(0.5)
    assert table.loc[("equal-tokens", "ko"), "value"] == pytest.approx(1.0, rel=1e-6)
    assert table.loc[("equal-meaning", "ko"), "value"] > 3


def test_the_same_content_costs_tokens_per_character_times_characters(table: pd.DataFrame) -> None:
    assert table.loc[("token-cost", "ko"), "value"] == pytest.approx(1.5 * 60 / (0.25 * 100), rel=0.05)
    assert table.loc[("token-cost", "zh"), "value"] == pytest.approx(0.8 * 30 / (0.25 * 100), rel=0.05)


def test_derived_characters_come_from_the_prompts_not_from_the_answers(table: pd.DataFrame) -> None:
    row = table.loc[("derived-characters", "ko")]
    assert row["unit"] == "character/s"
    assert row["value"] == pytest.approx(80 / 1.5, rel=0.05)


def test_answers_in_another_language_get_no_characters_a_second(tmp_path: Path) -> None:
    truth = Truth(replicates=3)
    s = write_runs(tmp_path, truth)
    for file in tmp_path.glob("cells/*/ko/*/metrics.parquet"):
        requests = pd.read_parquet(file)
        requests.loc[requests["model"] == truth.models[0], "text_language_ok"] = False
        requests.to_parquet(file, index=False)
    estimates = tables.ESTIMATES.read(aggregate(tmp_path, s)).query("metric == 'character_throughput'")
    strayed = (estimates["language"] == "ko") & (estimates["model"] == truth.models[0])
    assert set(estimates[strayed]["reason"]) == {"other-language"}
    assert estimates[strayed]["value"].isna().all()
    assert estimates[~strayed]["value"].notna().all()


def together(effect: dict[str, float]) -> tuple[Study, pd.DataFrame]:
    """Two models, apart and together; together each keeps ``effect`` of its throughput."""
    truth = Truth(deployments=("both", "only-a"), models=("a", "b"), workloads=("c2", "t2"), languages=("en",))
    load = {"concurrency": 2, "requests": 12, "max_tokens": 24}
    s = study(truth, workloads={"c2": load, "t2": {**load, "concurrency": 4, "requests": 24, "together": True}})
    own = {**s.deployments, "only-a": s.deployments["only-a"].model_copy(update={"models": ("a",)})}
    s = s.model_copy(update={"deployments": own})
    frame = points(truth)
    frame = frame[(frame["deployment"] == "both") | (frame["model"] == "a")]
    level = {("both", "c2"): 100.0, ("only-a", "c2"): 110.0, ("only-a", "t2"): 110.0}
    value = [
        level[d, w] if (d, w) in level else 100 * effect[m]
        for d, w, m in zip(frame["deployment"], frame["workload"], frame["model"], strict=True)
    ]
    noise = 1 + frame["replicate"] / 100
    return s, frame[frame["metric"] == "output_throughput"].assign(value=value * noise)


def test_loads_together_are_held_against_others_idle_and_against_being_alone() -> None:
    s, frame = together({"a": 0.5, "b": 0.5})
    assert reference(s, "t2", 2) == "c2"
    assert reference(s, "t2", 3) is None
    assert alone(s, "both", "a") == "only-a"
    assert alone(s, "both", "b") is None
    found = answers.INTERFERENCE.frame(interference_rows(s, frame)).set_index(["metric", "model", "against"])["value"]
    assert found["output_throughput", "a", "others-idle"] == pytest.approx(0.5)
    assert found["output_throughput", "a", "alone"] == pytest.approx(50 / 110)
    assert found["fairness", "*", "others-idle"] == pytest.approx(1.0)


def test_a_deployment_of_one_model_with_its_own_share_of_the_memory_is_the_one_alone() -> None:
    s, _ = together({"a": 0.5, "b": 0.5})

    def with_settings(**lone: object) -> Study:
        shared = {"memory_share": {"a": 0.3, "b": 0.5}, "model_options": {"a": {"eager": True}, "b": {"eager": False}}}
        own = {"both": s.deployments["both"].model_copy(update=shared)}
        return s.model_copy(update={"deployments": {**own, "only-a": s.deployments["only-a"].model_copy(update=lone)}})

    options = {"a": {"eager": True}}
    assert alone(with_settings(memory_share={"a": 0.3}, model_options=options, port=19000), "both", "a") == "only-a"
    assert alone(with_settings(memory_share={"a": 0.9}, model_options=options), "both", "a") is None
    assert alone(with_settings(memory_share={"a": 0.3}), "both", "a") is None


@pytest.mark.parametrize("file", sorted(Path("config/studies").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_load_on_all_models_together_has_one_to_be_held_against(file: Path) -> None:
    s = Study.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    for name in (name for name, w in s.workloads.items() if w.together):
        for deployment, d in s.deployments.items():
            assert len(d.models) < 2 or reference(s, name, len(d.models)), (name, deployment)


def test_fairness_falls_where_one_model_starves() -> None:
    s, frame = together({"a": 0.9, "b": 0.1})
    found = answers.INTERFERENCE.frame(interference_rows(s, frame)).set_index("metric")["value"]
    assert found["fairness"] == pytest.approx((0.9 + 0.1) ** 2 / (2 * (0.9**2 + 0.1**2)))
