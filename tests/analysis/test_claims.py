"""Published numbers: where they contradict each other, and how they stand beside a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from serving_study.analysis import answers
from serving_study.analysis.beside import Measured, claim_rows
from serving_study.analysis.compare import compare
from serving_study.analysis.published import Published, contradictions, read_published
from serving_study.study.errors import StudyError
from serving_study.study.types import Study
from tests.analysis.made_up import study
from tests.analysis.synthetic import Truth, points

FILE = Path("config/claims/rtx5090-2025.yaml")
RTX = "NVIDIA GeForce RTX 5090"
TRUTH = Truth(
    deployments=("vllm", "ollama", "sglang"),
    models=("tinyllama-1.1b", "qwen2.5-3b", "yi-6b"),
    workloads=("c4",),
    metrics=("output_throughput", "e2e_p50", "memory_peak"),
    cv_block=0.01,
)


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published(FILE)


@pytest.fixture(scope="module")
def found(published: Published) -> pd.DataFrame:
    return answers.CONTRADICTIONS.frame(contradictions(published)).set_index("about")


@pytest.mark.parametrize(
    ("check", "about", "first", "second"),
    [
        ("same-quantity", "output_throughput/vllm/throughput-vllm/throughput-vllm-recommended", 112, 332),
        ("whole-outside-parts", "output_throughput/vllm/throughput-vllm", 112, 283.64),
        ("same-quantity", "e2e_mean/vllm/latency-vllm/response-vllm", 207e6, 262e6),
        ("same-quantity", "e2e_mean/ollama/latency-ollama/response-ollama", 151.76e6, 817e6),
        ("ratio", "vllm-over-sglang-throughput/throughput-vllm/throughput-sglang", 4.786, 112 / 77),
        ("mean-of-languages", "output_throughput/vllm/throughput-vllm-recommended", 332, 332.156667),
        ("mean-of-languages", "e2e_mean/vllm/response-vllm", 262e6, 262.206667e6),
        ("quantile", "e2e_p95/vllm/vllm-en-latency", 265e6, 404.79e6),
        ("sum", "vllm-memory", 31.5e9, 30.9e9),
        ("sum", "requests", 4984, 4379),
        ("best", "output_throughput/ollama/vllm", 428, 332),
        ("by-length", "e2e_mean/vllm/ko", 59.5, 283.64),
    ],
)
def test_every_contradiction_is_computed_from_the_file(
    found: pd.DataFrame, check: str, about: str, first: float, second: float
) -> None:
    rows = found[found["check"] == check]
    assert rows.loc[about, "first"] == pytest.approx(first)
    assert rows.loc[about, "second"] == pytest.approx(second)


def test_unlike_memory_and_unsaid_weights_are_named(found: pd.DataFrame) -> None:
    unlike = set(found[found["check"] == "unlike"].index)
    assert "memory/ollama-less-memory" in unlike
    assert "weights/ollama-over-vllm" in unlike


def test_numbers_that_agree_with_each_other_contradict_nothing() -> None:
    sound = {
        "title": "t",
        "accelerator": RTX,
        "models": ["m"],
        "languages": ["en"],
        "engines": {"a": {"memory": "used", "weights": "F16"}, "b": {"memory": "used", "weights": "F16"}},
        "claims": {
            "a": {"engine": "a", "metric": "output_throughput", "value": 427.77, "unit": "token/s"},
            "a-rounded": {"engine": "a", "metric": "output_throughput", "value": 428, "unit": "token/s"},
            "b": {"engine": "b", "metric": "output_throughput", "value": 77, "unit": "token/s"},
        },
        "ratios": {"r": {"of": "a", "to": "b", "metric": "output_throughput", "value": 5.6, "form": "times"}},
        "best": {"one": {"engine": "a", "metric": "output_throughput"}},
    }
    assert list(contradictions(Published.model_validate(sound))) == []


def test_a_mistake_in_the_file_is_named(tmp_path: Path) -> None:
    content = yaml.safe_load(FILE.read_text())
    content["claims"]["throughput-vllm"]["value"] = "fast"
    file = tmp_path / "claims.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match=r"claims\.yaml: claims\.throughput-vllm\.value: "):
        read_published(file)


@dataclass
class Lab:
    """A study on the rows of the published one, with the levels that are asked for."""

    study: Study
    frame: pd.DataFrame

    def beside(self, published: Published, accelerator: str = RTX, **changes: Any) -> pd.DataFrame:
        accelerators = dict.fromkeys(self.study.deployments, accelerator)
        none = answers.RECOMMENDATIONS.frame(())
        m = Measured(self.study, self.frame, accelerators, changes.get("recommendations", none))
        return answers.CLAIMS.frame(claim_rows(published, m)).set_index("claim")


def lab(throughput: dict[str, float]) -> Lab:
    s = study(TRUTH)
    own = {name: d.model_copy(update={"engine": name}) for name, d in s.deployments.items()}
    frame = points(TRUTH)
    frame = frame[frame["metric"] == "output_throughput"]
    logs = frame["value"].map(np.log)
    relative = np.exp(logs - logs.groupby([frame["deployment"], frame["model"], frame["language"]]).transform("mean"))
    return Lab(
        s.model_copy(update={"deployments": own}), frame.assign(value=frame["deployment"].map(throughput) * relative)
    )


def test_a_claim_agrees_where_it_reaches_into_the_interval_and_differs_elsewhere(published: Published) -> None:
    table = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0}).beside(published)
    assert table.loc["throughput-vllm", "verdict"] == "agrees"
    assert table.loc["throughput-ollama", "verdict"] == "differs"
    assert table.loc["throughput-vllm-recommended", "verdict"] == "differs"
    assert table.loc["vllm-over-sglang-throughput", "verdict"] == "differs"
    assert table.loc["vllm-over-sglang-throughput", "value"] == pytest.approx(112 / 77)


def test_not_comparable_says_why(published: Published) -> None:
    here = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0})
    elsewhere = here.beside(published, accelerator="NVIDIA H200")
    assert elsewhere.loc["throughput-vllm", "reason"] == "other-hardware"
    assert set(elsewhere["verdict"]) == {"not-comparable"}
    assert here.beside(published).loc["requests-vllm", "reason"] == "no-metric"
    without = Lab(
        here.study.model_copy(
            update={"deployments": {k: d for k, d in here.study.deployments.items() if k != "sglang"}}
        ),
        here.frame,
    )
    assert without.beside(published).loc["throughput-sglang", "reason"] == "engine-not-measured"
    fewer = {k: d.model_copy(update={"models": d.models[:1]}) for k, d in here.study.deployments.items()}
    one_model = Lab(here.study.model_copy(update={"deployments": fewer}), here.frame)
    assert one_model.beside(published).loc["throughput-vllm", "reason"] == "model-not-measured"


def test_reserved_memory_is_no_rival_of_used_memory(published: Published) -> None:
    here = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0})
    memory = here.frame.assign(metric="device_memory_peak", unit="byte", better="lower", model="*", workload="*")
    memory = memory.drop_duplicates(["deployment", "language", "block"])
    table = Lab(here.study, pd.concat([here.frame, memory])).beside(published)
    assert table.loc["ollama-less-memory", "reason"] == "reserved-against-used"
    pairs, champions = compare(memory.assign(reserves=memory["deployment"] != "ollama"))
    unlike = pairs[(pairs["a"] == "ollama") | (pairs["b"] == "ollama")]
    assert set(unlike["verdict"]) == {"not-comparable"}
    assert champions["winner"].isna().all()


def test_the_published_contradictions_fed_in_as_data_give_one_champion_or_none() -> None:
    """Ollama at 428 in one table, vLLM at 332 in another: as lives of one study they cannot both be best."""
    for vllm in (112.0, 332.0, 369.62):
        here = lab({"vllm": vllm, "ollama": 427.77, "sglang": 77.0})
        _, champions = compare(here.frame)
        assert set(champions["winner"].dropna()) == {"ollama"}
    mixed = lab({"vllm": 1.0, "ollama": 1.0, "sglang": 77.0}).frame
    swing = {"vllm": (112.0, 332.0, 369.62), "ollama": (428.0, 151.76, 120.0)}
    value = [
        swing[d][r % 3] * v if d in swing else v
        for d, r, v in zip(mixed["deployment"], mixed["replicate"], mixed["value"], strict=True)
    ]
    pairs, champions = compare(mixed.assign(value=value))
    between = pairs[(pairs["a"] == "ollama") & (pairs["b"] == "vllm")]
    assert set(between["verdict"]) == {"no-clear-winner"}
    assert champions["winner"].isna().all()
