"""From result folders to tables and facts, over the real commands."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from serving_study.analysis import tables
from tests.analysis.made_up import aggregate, write_facts, write_runs
from tests.analysis.synthetic import Truth


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    write_facts(root)
    return root


@pytest.fixture(scope="module")
def facts(root: Path) -> dict[str, dict]:
    return {f["id"]: f for f in json.loads((root / "facts.json").read_text())["facts"]}


def test_the_same_files_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    again = write_facts(tmp_path)
    assert again.read_bytes() == (root / "facts.json").read_bytes()
    for kind in tables.TABLES:
        for ending in ("parquet", "csv"):
            name = f"tables/{kind.name}.{ending}"
            assert (tmp_path / name).read_bytes() == (root / name).read_bytes(), name


def test_every_table_is_written_with_units_and_definitions(root: Path) -> None:
    for kind in tables.TABLES:
        frame = kind.read(root / "tables")
        assert list(frame) == [c.name for c in kind.columns]
        assert len(frame) or kind.name in (
            "validity",
            "kv_cache",
            "loading",
            "interference",
            "recommendations",
            "scores",
            "claims",
            "contradictions",
        )
        assert not frame.duplicated(list(kind.key)).any(), kind.name


def test_every_fact_stands_in_the_row_that_it_names(root: Path, facts: dict[str, dict]) -> None:
    rows = {
        (kind.name, *(row[k] for k in kind.key)): row
        for kind in tables.TABLES
        for row in kind.read(root / "tables").to_dict("records")
    }
    for fact in facts.values():
        source = fact["source"]
        over_many_rows = fact["id"].startswith(("count/", "validity/", "label/"))
        if source["table"] == "study" or over_many_rows or fact["id"].startswith("advantage/"):
            continue
        found = rows[source["table"], *source["row"].values()][source["column"]]
        if fact["kind"] in ("estimate", "ratio", "share", "count"):
            assert fact["value"] == found or (fact["value"] is None and pd.isna(found)), fact["id"]


def test_counts_are_those_of_the_tables(facts: dict[str, dict]) -> None:
    assert facts["count/cells"]["value"] == 2 * 3 * 3
    assert facts["count/lives"]["value"] == 18
    assert facts["count/requests"]["value"] == 18 * 2 * 2 * 12
    assert facts["count/blocks"]["value"] == 3
    assert facts["count/points-left-out"]["value"] == 0


def test_a_quickstart_of_three_lives_claims_headlines_only(facts: dict[str, dict]) -> None:
    headline = [f for f in facts.values() if f["id"].startswith("champion/headline/output_throughput/")]
    assert [f["value"] for f in headline] == ["champion"]
    assert headline[0]["subject"]["winner"] == "four-slots"
    cells = [f for f in facts.values() if f["id"].startswith("champion/cell/output_throughput/")]
    assert cells and {(f["value"], f["reason"]) for f in cells} == {("not-decided", "few-lives")}


def test_how_many_times_faster_is_at_least_one_whichever_way_the_metric_counts(facts: dict[str, dict]) -> None:
    found = [f for f in facts.values() if f["id"].startswith("advantage/")]
    assert {"output_throughput", "ttft_p50"} <= {f["subject"]["metric"] for f in found}
    for f in found:
        assert f["value"] > f["low"] > 1
        assert f["subject"]["better"] == "four-slots"


def test_a_percentile_of_too_few_requests_is_not_shown(facts: dict[str, dict]) -> None:
    p99 = facts["estimate/e2e_p99/four-slots/smollm2-135m/ko/c4"]
    assert (p99["value"], p99["reason"]) == (None, "too-few-requests")
    assert facts["estimate/e2e_p50/four-slots/smollm2-135m/ko/c4"]["n"] == 36


def test_an_invalid_cell_is_kept_named_and_left_out(tmp_path: Path) -> None:
    left_out = ("four-slots", "ko", 2)
    write_runs(tmp_path, codes={left_out: "CLIENT_LAG"})
    folder = aggregate(tmp_path, write_runs(tmp_path / "unused"))
    validity = tables.VALIDITY.read(folder)
    assert set(zip(validity["deployment"], validity["language"], validity["replicate"], strict=True)) == {left_out}
    assert validity["fatal"].all()
    points = tables.POINTS.read(folder)
    assert points["fatal"].sum() > 0
    pairs = tables.PAIRS.read(folder).query("scope == 'cell' and metric == 'ttft_p50'")
    assert set(pairs.query("language == 'ko'")["lives"]) == {2}
    assert set(pairs.query("language == 'en'")["lives"]) == {3}
    estimates = tables.ESTIMATES.read(folder).query("deployment == 'four-slots' and metric == 'ttft_p50'")
    assert set(estimates.query("language == 'ko'")["lives_left_out"]) == {1}


def test_a_missing_derived_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    s = write_runs(tmp_path, Truth(replicates=1))
    (tmp_path / "cells/one-slot/en/r01/points.parquet").unlink()
    with pytest.raises(AssertionError):
        aggregate(tmp_path, s)
    assert "one-slot/en/1: points.parquet is missing; run derive" in capsys.readouterr().err
