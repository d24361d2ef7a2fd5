"""Loading on demand, from its record to both reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving_study.__main__ import main
from serving_study.analysis import tables
from serving_study.analysis.loading import loading_rows
from tests.analysis import made_up

MS, MIB = 1_000_000, 2**20


def record(deployment: str) -> dict:
    def alone(model: str, cold: int) -> dict:
        memory = {"memory_empty": 30 * MIB, "memory_loaded": 230 * MIB, "memory_unloaded": 40 * MIB}
        return {"model": model, "cold_ttft": cold * MS, "warm_ttft": 60 * MS, "unload": 90 * MS, **memory}

    turns = [{"model": "smollm2-135m", "turn_ttft": t * MS, "memory": 0} for t in (5000, 800, 900)]
    readings = [*(alone("smollm2-135m", cold) for cold in (700, 900, 800)), *turns]
    return {"deployment": deployment, "held": {"1": {"life": "a", "readings": readings}}}


def test_medians_of_the_rounds_and_differences_of_memory():
    deployed = [
        {"deployment": "ollama", "models": {"smollm2-135m": {}}, "ready_after_ns": {"ollama": 9}},
        {"deployment": "vllm", "models": {"smollm2-135m": {}}, "ready_after_ns": {"smollm2-135m": 40_000 * MS}},
    ]
    frame = tables.LOADING.frame(loading_rows([record("ollama")], deployed)).set_index(["deployment", "measure"])
    assert frame.loc[("ollama", "cold-ttft"), ["value", "least", "most", "n"]].tolist() == [
        800 * MS,
        700 * MS,
        900 * MS,
        3,
    ]
    assert frame.loc[("ollama", "turn-ttft"), "value"] == 850 * MS, "the first turn is left out"
    assert frame.loc[("ollama", "memory-loaded"), "value"] == 200 * MIB
    assert frame.loc[("ollama", "memory-back"), "value"] == 190 * MIB
    assert frame.loc[("vllm", "start-time"), ["value", "held"]].tolist() == [40_000 * MS, 0]


def test_nothing_is_said_where_nothing_was_timed():
    assert list(loading_rows([], [{"deployment": "vllm", "models": {"m": {}}, "ready_after_ns": {"m": 1}}])) == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("report.en.md", "| First token, model not loaded | 800 ms |"),
        ("report.ko.md", "| 첫 토큰까지의 시간(모델 미적재) | 800 ms |"),
    ],
)
def test_the_reports_tell_it(loaded: Path, page: str, said: str):
    assert said in (loaded / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a made-up study in which one deployment was timed."""
    root = tmp_path_factory.mktemp("loaded")
    made_up.write_runs(root)
    (root / "deployments/one-slot/loading.json").write_text(json.dumps(record("one-slot")))
    made_up.facts_of(root, made_up.study())
    assert main(["render", "--facts", str(root / "facts.json"), "--out", str(root / "report")]) == 0
    return root / "report"
