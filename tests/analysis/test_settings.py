"""What deployments tell of themselves: settings held against each other, memory reserved, KV cache in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving_study.analysis import tables
from serving_study.analysis.deployed import kv_rows, ledger_rows, reserving
from tests.analysis.made_up import aggregate, facts_of, write_facts, write_runs
from tests.analysis.synthetic import Truth, points


def record(deployment: str, **settings: dict[str, str | None]) -> dict[str, Any]:
    """A deployment that tells of each setting a value for each server."""
    told = [
        {"name": name, "asked": None, "ran": ran, "source": "log", "server": server}
        for name, by_server in settings.items()
        for server, ran in by_server.items()
    ]
    return {"deployment": deployment, "settings": told}


def unequal(*records: dict[str, Any]) -> set[str]:
    return {row["name"] for row in ledger_rows(records) if not row["equal"]}


def test_two_models_make_no_deployment_unequal_to_another_of_the_same_two() -> None:
    both = {"model_name": {"m": "m", "n": "n"}, "weights": {"m": "Q4_1", "n": "Q4_K"}}
    assert unequal(record("a", **both), record("b", **both)) == set()


def test_values_that_two_models_swap_are_unequal() -> None:
    assert unequal(record("a", slots={"m": "1", "n": "4"}), record("b", slots={"m": "4", "n": "1"})) == {"slots"}


def test_a_single_server_for_all_models_is_held_against_the_values_of_all_servers() -> None:
    apart = {"m": "4", "n": "4"}
    assert unequal(record("a", slots=apart), record("b", slots={"router": "4"})) == set()
    assert unequal(record("a", slots=apart), record("b", slots={"router": "1"})) == {"slots"}


def test_names_of_models_and_servers_that_do_not_tell_make_nothing_unequal() -> None:
    a = record("a", model_name={"m": "m"}, kv_type={"m": "f16"})
    b = record("b", model_name={"m": "org/m"}, kv_type={"m": None})
    assert unequal(a, b) == set()


def test_a_whole_study_of_two_equal_models_has_no_unequal_setting_but_the_slots(tmp_path: Path) -> None:
    write_facts(tmp_path)
    ledger = tables.LEDGER.read(tmp_path / "tables")
    assert set(ledger[~ledger["equal"]]["name"]) == {"slots"}


def test_reserving_is_what_the_engine_says_and_old_records_say_nothing() -> None:
    records = [{"deployment": "a", "reserves": True}, {"deployment": "b", "reserves": False}, {"deployment": "old"}]
    assert reserving(records) == {"a"}


def test_memory_that_an_unknown_engine_says_it_reserves_is_no_rival_of_memory_in_use(tmp_path: Path) -> None:
    truth = Truth(metrics=("memory_peak",), replicates=3, effects={"four-slots": 2.0})
    s = write_runs(tmp_path, truth)
    file = tmp_path / "deployments/four-slots/deploy.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reserves": True}))
    pairs = tables.PAIRS.read(aggregate(tmp_path, s))
    headline = pairs[(pairs["scope"] == "headline") & (pairs["metric"] == "memory_peak")]
    assert set(zip(headline["verdict"], headline["reason"], strict=True)) == {
        ("not-comparable", "reserved-against-used")
    }


def used_cache() -> pd.DataFrame:
    frame = points(Truth(metrics=("ttft_p50",), replicates=2, workloads=("c4",), languages=("en",)))
    share = frame["replicate"].map({1: 0.25, 2: 0.5})
    return frame.assign(metric="kv_used_peak", unit="1", value=share.where(frame["deployment"] == "four-slots"))


def test_kv_memory_in_use_is_the_largest_share_of_the_capacity() -> None:
    capacity = {(d, m): 1000.0 for d in ("one-slot", "four-slots") for m in ("smollm2-135m",)}
    table = tables.KV_CACHE.frame(kv_rows(used_cache(), capacity)).set_index(["deployment", "model"])
    told = table.loc[("four-slots", "smollm2-135m")]
    assert (told["share"], told["used"], told["lives"]) == (0.5, 500.0, 2)
    without_capacity, without_share = table.loc[("four-slots", "gemma3-270m")], table.loc[("one-slot", "smollm2-135m")]
    assert without_capacity["share"] == 0.5
    assert without_share["capacity"] == 1000.0
    for row in (without_capacity, without_share):
        assert (pd.isna(row["used"]), row["reason"]) == (True, "not-told")


def test_facts_tell_kv_memory_in_use(tmp_path: Path) -> None:
    truth = Truth(replicates=2)
    s = write_runs(tmp_path, truth)
    for file in tmp_path.glob("cells/four-slots/*/*/points.parquet"):
        own = pd.read_parquet(file)
        seen = own[own["metric"] == "ttft_p50"].assign(metric="kv_used_peak", unit="1", value=0.5, needs=1)
        pd.concat([own, seen], ignore_index=True).to_parquet(file, index=False)
    fact = facts_of(tmp_path, s)["kv-cache/four-slots/gemma3-270m/c4/used"]
    assert (fact["value"], fact["unit"]) == (pytest.approx(0.5 * 23_000_000 * 4), "byte")
