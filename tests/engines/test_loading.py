from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from serving_study import engines
from serving_study.__main__ import main
from serving_study.study.file import read
from serving_study.study.plans import loading_plan

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("deployment", ["ollama", "router"])
def test_loading_on_demand_is_timed_and_gives_memory_back(deployment: str, tmp_path: Path):
    out = tmp_path / "loading.json"
    study = read(Path("config/studies/cpu.yaml"), engines.checks())
    plan = loading_plan(study, deployment).model_copy(update={"rounds": 2})
    assert not main(["profile-loading", plan.model_dump_json(), "--out", str(out)])
    held = json.loads(out.read_text())["held"]
    for record in held.values():
        alone = [r for r in record["readings"] if "cold_ttft" in r]
        assert len(alone) == 4
        for r in alone:
            assert r["cold_ttft"] > r["warm_ttft"], "loading costs time"
            assert r["memory_empty"] < r["memory_loaded"]
            assert r["memory_unloaded"] < r["memory_loaded"]
    turns = {n: [r["turn_ttft"] for r in record["readings"] if "turn_ttft" in r][2:] for n, record in held.items()}
    assert statistics.median(turns["1"]) > statistics.median(turns["2"]), "one at a time has to load at each turn"
