"""Deployments whose weights have other types are two groups: nothing is said of one that could be read as of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.made_up import write_facts
from tests.analysis.synthetic import Truth
from tests.report.conftest import render

TRUTH = Truth(
    deployments=("a", "b", "c", "d", "e"),
    metrics=("output_throughput", "ttft_p50", "e2e_p50", "memory_peak"),
    replicates=5,
    effects={"b": 1.5, "d": 2.0},
    weights={"d": "BF16", "e": "BF16"},
)
CASES = {"edge": {"workload": "c1", "weights": {"output_throughput": 1}}}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("groups")
    assert render(write_facts(root, TRUTH, use_cases=CASES), root / "report") == 0
    return Path(root / "report/report.en.md").read_text(encoding="utf-8")


def test_a_champion_is_one_among_its_group(page: str) -> None:
    assert "- Among a, b, c: Output throughput: b is ahead of every rival with the same type of weights." in page
    assert "- Among d, e: Output throughput: d is ahead of every rival with the same type of weights." in page


def test_deployments_of_other_weights_stand_side_by_side_and_are_not_ranked(page: str) -> None:
    rows = [line for line in page.splitlines() if line.startswith("| Output throughput | ")]
    assert [line.split(" | ")[3] for line in rows if line.startswith("| Output throughput | b | c |")] == ["b is ahead"]
    unlike = [
        line.split(" | ")[3]
        for line in rows
        if line.startswith(("| Output throughput | a | d |", "| Output throughput | b | e |"))
    ]
    assert unlike == ["not ranked: the weights differ"] * 2


def test_a_use_case_is_answered_for_each_group(page: str) -> None:
    assert "| Edge | a, b, c | b |" in page
    assert "| Edge | d, e | d |" in page


def test_a_table_of_five_deployments_keeps_them_side_by_side(page: str) -> None:
    head = "| Language | Load | a | b | c | d | e | Comparison |"
    assert head in page
    assert max(line.count("|") - 1 for line in page.splitlines() if line.startswith("|")) <= 8
    (row,) = [line for line in page.split(head)[1].splitlines() if line.startswith("| English | c1 ")][:1]
    assert "BF16: d; Q4\\_1: b" in row
