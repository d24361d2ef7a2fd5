"""Published numbers: where they contradict each other, and how they stand beside a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from serving_study.analysis import answers
from serving_study.analysis.beside import Measured, claim_rows
from serving_study.analysis.compare import compare
from serving_study.analysis.contradicting import contradictions
from serving_study.analysis.published import Published, read_published
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
    return answers.CONTRADICTIONS.frame(contradictions(published))


KNOWN: dict[str, list[tuple[str, str, float, float | None]]] = {
    "the champion is Ollama with 428 tok/s, yet vLLM is the best performer at 332": [
        ("best", "champion,optimal", 428, 332)
    ],
    "vLLM's throughput is 112, 332 and 369": [
        ("same-quantity", "throughput-vllm,throughput-vllm-recommended", 112, 332),
        (
            "whole-outside-parts",
            "throughput-vllm,vllm-en-throughput,vllm-zh-throughput,vllm-ko-throughput",
            112,
            283.64,
        ),
    ],
    "its latency is 207 and 262 ms with a p95 of 265": [("same-quantity", "latency-vllm,response-vllm", 207e6, 262e6)],
    "Ollama's mean latency is 152 ms and 817 ms": [
        ("same-quantity", "latency-ollama,response-ollama", 151.76e6, 817e6)
    ],
    "4.8x and 378.6 % are one ratio, 3.8x another": [
        ("stated-ratios", "vllm-over-sglang-throughput,vllm-over-sglang-other", 4.786, 3.8),
        ("stated-ratios", "vllm-over-sglang-times,vllm-over-sglang-other", 4.8, 3.8),
    ],
    "332 and 262 are means of the three language rows": [
        (
            "mean-of-languages",
            "throughput-vllm-recommended,vllm-en-throughput,vllm-zh-throughput,vllm-ko-throughput",
            332,
            332.156667,
        ),
        ("mean-of-languages", "response-vllm,vllm-en-latency,vllm-zh-latency,vllm-ko-latency", 262e6, 262.206667e6),
    ],
    "a p95 of 265 lies below English's mean of 405": [
        ("quantile", "response-vllm-p95,vllm-en-latency", 265e6, 404.79e6)
    ],
    "5.3 + 8.4 + 17.2 is 30.9, not 31.5": [
        ("sum", "memory-vllm-total,memory-vllm-tinyllama,memory-vllm-qwen,memory-vllm-yi", 31.5e9, 30.9e9)
    ],
    "16 % + 26 % + 53 % is 95 %, not 96.6 %": [
        (
            "sum",
            "memory-share-vllm,memory-share-vllm-tinyllama,memory-share-vllm-qwen,memory-share-vllm-yi",
            0.966,
            0.95,
        )
    ],
    "300 + 300 + 3,779 requests are 4,379, not 4,984": [
        ("sum", "requests-all,requests-vllm,requests-sglang,requests-ollama", 4984, 4379)
    ],
    "Korean is called fastest because its answers were shortest": [
        ("by-length", "fastest-language,vllm-ko-tokens,vllm-ko-throughput", 59.5, 283.64)
    ],
    "4.8x by one table is 1.5x by the other": [
        ("ratio", "vllm-over-sglang-times,throughput-vllm,throughput-sglang", 4.8, 112 / 77),
        ("ratio", "vllm-over-sglang-throughput,throughput-vllm,throughput-sglang", 4.786, 112 / 77),
    ],
    "memory that vLLM reserves is compared with memory that Ollama uses": [
        ("unlike", "ollama-less-memory", 0.315, None)
    ],
    "quantisation differed between engines and is nowhere said": [("unlike", "ollama-over-vllm", 3.8, None)],
}
"""Each known contradiction, with the rows that compute it: check, claims, both numbers."""


@pytest.mark.parametrize("said", KNOWN)
def test_every_known_contradiction_is_computed_from_the_file(found: pd.DataFrame, said: str) -> None:
    for check, claims, first, second in KNOWN[said]:
        rows = found[(found["check"] == check) & (found["claims"] == claims)]
        assert len(rows) >= 1, (check, claims)
        assert rows.iloc[0]["first"] == pytest.approx(first)
        assert pd.isna(rows.iloc[0]["second"]) if second is None else rows.iloc[0]["second"] == pytest.approx(second)


def test_ratios_that_say_the_same_in_other_forms_contradict_nothing(found: pd.DataFrame) -> None:
    same = "vllm-over-sglang-throughput,vllm-over-sglang-times"
    assert same not in set(found["claims"])


def test_unlike_memory_and_unsaid_weights_are_named(found: pd.DataFrame) -> None:
    unlike = set(found[found["check"] == "unlike"]["about"])
    assert "ollama / vllm, device_memory_peak: 68.5 % less; memory used / reserved" in unlike
    assert "ollama / vllm, output_throughput: 3.8x; weights ? / ?" in unlike


def test_what_a_contradiction_is_about_can_be_read(found: pd.DataFrame, published: Published) -> None:
    assert "vllm, output_throughput: 112 token/s; 332 token/s" in set(found["about"])
    assert "vllm, device_memory_peak: 31.5 GB; 5.3 GB + 8.4 GB + 17.2 GB" in set(found["about"])
    for about in found["about"]:
        assert not any(name in about for name in published.claims)


def test_every_published_number_has_a_unit(found: pd.DataFrame, published: Published) -> None:
    assert all(found["unit"]) and all(found["second_unit"])
    assert all(claim.exact[1] for claim in published.claims.values())
    content = yaml.safe_load(FILE.read_text())
    content["claims"]["throughput-vllm"]["unit"] = ""
    with pytest.raises(ValidationError, match="unit"):
        Published.model_validate(content)


def test_percentages_of_the_memory_are_those_of_their_numbers(found: pd.DataFrame, published: Published) -> None:
    assert "share" not in set(found["check"])
    content = yaml.safe_load(FILE.read_text())
    content["claims"]["memory-share-vllm-yi"]["value"] = 54
    rows = [r for r in contradictions(Published.model_validate(content)) if r["check"] == "share"]
    assert [r["claims"] for r in rows] == ["memory-share-vllm-yi,memory-vllm-yi,memory-device"]
    assert (rows[0]["first"], rows[0]["second"]) == (pytest.approx(0.54), pytest.approx(17.2 / 32.6))


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
    short: pd.DataFrame | None = None

    def beside(self, published: Published, accelerator: str = RTX, **changes: Any) -> pd.DataFrame:
        accelerators = dict.fromkeys(self.study.deployments, accelerator)
        none = answers.RECOMMENDATIONS.frame(())
        short = self.frame.iloc[:0] if self.short is None else self.short
        m = Measured(self.study, self.frame, accelerators, changes.get("recommendations", none), short)
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


def test_a_claim_without_a_load_is_held_against_each_load_by_itself(published: Published) -> None:
    here = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0})
    light = here.frame.assign(workload="c1", value=here.frame["value"] / 4)
    table = Lab(here.study, pd.concat([here.frame, light])).beside(published).loc["throughput-vllm"]
    verdicts = table.set_index("workload")["verdict"]
    assert dict(verdicts) == {"c1": "differs", "c4": "agrees"}


def test_a_success_rate_is_held_against_what_its_requests_allow(published: Published) -> None:
    here = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0})
    sure = here.frame.assign(metric="success_rate", unit="1", value=1.0, n=12)
    table = Lab(here.study, pd.concat([here.frame, sure])).beside(published)
    assert published.claims["success-vllm"].printed == "299/300"
    assert table.loc["success-vllm", "verdict"] == "agrees"
    failing = sure.assign(value=sure["value"].mask(sure["deployment"] == "vllm", 0.5))
    table = Lab(here.study, pd.concat([here.frame, failing])).beside(published)
    assert table.loc["success-vllm", "verdict"] == "differs"
    assert table.loc["success-sglang", "verdict"] == "agrees"


def test_latency_of_answers_that_stopped_early_is_no_measure_of_a_claim(published: Published) -> None:
    here = lab({"vllm": 112.0, "ollama": 200.0, "sglang": 77.0})
    whole = here.frame.assign(metric="e2e_mean", unit="ns", better="lower", value=207e6)
    claims = Lab(here.study, here.frame, whole[whole["deployment"] == "vllm"]).beside(published)
    assert claims.loc["latency-vllm", "reason"] == "early-stop"


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
