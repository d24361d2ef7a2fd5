"""``compare A B``: a regression gate over two folders, with the statistics of the study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from serving_study.__main__ import main
from serving_study.analysis.runs import compare_runs
from serving_study.commands.compare import NOTHING_COMPARED, NOTHING_TESTED, UNDECIDED, WORSE, status
from tests.analysis.made_up import aggregate, write_runs
from tests.analysis.synthetic import Truth, points

ONE = Truth(
    deployments=("four-slots",), models=("smollm2-135m",), metrics=("output_throughput", "ttft_p50"), cv_block=0.01
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(speed: float, seed: int, host: str = "a-host") -> Path:
        root = tmp_path_factory.mktemp("run")
        write_runs(root, Truth(**{**vars(ONE), "effects": {"four-slots": speed}}), seed, host=host, others=False)
        return root

    return make


def compared(before: Path, after: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    status = main(["compare", str(before), str(after), *more])
    return status, capsys.readouterr().out


def test_a_slower_run_fails_the_gate_and_the_faster_one_passes(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    fast, slow = run(1.25, 1), run(1.0, 1)
    status, said = compared(fast, slow, capsys)
    assert status == WORSE
    assert "| four-slots | output_throughput | all |" in said and "slower" in said and "faster" not in said
    status, said = compared(slow, fast, capsys)
    assert status == 0
    assert "faster" in said and "slower" not in said


def test_json_holds_the_same_rows(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, said = compared(run(1.0, 1), run(1.25, 1), capsys, "--json")
    content = json.loads(said)
    headline = next(r for r in content["rows"] if r["scope"] == "headline" and r["metric"] == "output_throughput")
    assert headline["verdict"] == "better"
    assert 1 < headline["low"] < headline["ratio"] < headline["high"]
    assert content["status"] == 0


def test_equal_runs_are_undecided_and_only_strict_fails(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = run(1.0, 3), run(1.0, 4)
    assert compared(a, b, capsys)[0] == 0
    status, said = compared(a, b, capsys, "--strict")
    assert status == UNDECIDED and "undecided" in said


def test_another_host_is_not_comparable(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, said = compared(run(1.0, 1), run(1.25, 1, host="b-host"), capsys)
    assert status == NOTHING_COMPARED
    assert "not-comparable (other-host)" in said


def test_tables_and_cells_of_a_run_say_the_same(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    cells, other = run(1.0, 1), run(1.25, 2)
    s = write_runs(cells.parent / "plan-only", Truth(**vars(ONE)), others=False)
    from_cells = compared(cells, other, capsys, "--json")[1]
    aggregate(cells, s)
    assert compared(cells, other, capsys, "--json")[1] == from_cells
    shutil.rmtree(cells / "cells")
    assert compared(cells, other, capsys, "--json")[1] == from_cells


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "holds neither tables/points.parquet nor cells" in capsys.readouterr().err


def test_equal_runs_say_worse_in_at_most_11_of_100() -> None:
    truth = Truth(deployments=("d",), models=("m",), workloads=("c1", "c4"), metrics=("output_throughput", "ttft_p50"))
    decided = 0
    for seed in range(100):
        rows = compare_runs(points(truth, 2 * seed), points(truth, 2 * seed + 1)).rows
        decided += any(r["verdict"] in ("better", "worse") for r in rows)
    assert decided <= 11


BROAD = Truth(deployments=("d", "e"), models=("m",), metrics=("output_throughput", "ttft_p50"), cv_block=0.01)


def broken(frame: pd.DataFrame, **where: str) -> pd.DataFrame:
    """The points with a fatal code at one place."""
    here = pd.Series(True, index=frame.index)
    for column, value in where.items():
        here &= frame[column] == value
    return frame.assign(fatal=here, codes=here.map({True: "CLIENT_LAG", False: ""}))


def test_a_headline_is_over_the_cells_that_both_runs_have() -> None:
    frame = points(BROAD)
    # Korean is ten times slower in both runs, and valid in one of them only
    slow = frame.assign(value=frame["value"].where(frame["language"] != "ko", frame["value"] / 10))
    found = compare_runs(slow, broken(slow, language="ko"))
    speeds = [r for r in found.rows if r["scope"] == "headline" and r["metric"] == "output_throughput"]
    assert [r["ratio"] for r in speeds] == [pytest.approx(1.0), pytest.approx(1.0)]
    assert {r["language"] for r in found.rows if r["scope"] == "cell"} == {"en", "zh"}


def test_cells_metrics_and_deployments_of_one_run_only_are_listed_with_the_reason() -> None:
    frame = points(BROAD)
    after = broken(frame, deployment="d", language="ko", workload="c4")
    after = after[(after["deployment"] == "d") & (after["metric"] == "ttft_p50")]
    missing = [tuple(m.values()) for m in compare_runs(frame, after).missing]
    assert missing == [
        ("after", "d", "output_throughput", "all", "all", "all", "not-measured"),
        ("after", "d", "ttft_p50", "m", "ko", "c4", "invalid"),
        ("after", "e", "all", "all", "all", "all", "not-measured"),
    ]
    assert [m["missing_in"] for m in compare_runs(after, frame).missing] == ["before"] * 3
    assert compare_runs(frame, frame).missing == []


def test_what_is_missing_is_printed_and_fails_only_a_strict_gate(
    run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    slow, fast = run(1.0, 1), run(1.25, 1)
    for file in fast.glob("cells/*/ko/*/points.parquet"):
        own = pd.read_parquet(file)
        own.assign(codes="CLIENT_LAG", reasons='{"CLIENT_LAG": "was seen"}', fatal=True).to_parquet(file, index=False)
    status, said = compared(slow, fast, capsys)
    assert status == 0
    assert f"| {fast} | four-slots | ttft_p50 | smollm2-135m, ko, c1 | invalid |" in said
    assert compared(slow, fast, capsys, "--strict")[0] == UNDECIDED
    content = json.loads(compared(slow, fast, capsys, "--json")[1])
    assert {m["language"] for m in content["missing"]} == {"ko"}


@pytest.mark.parametrize(("lives", "expected"), [(1, NOTHING_TESTED), (2, NOTHING_TESTED), (3, 0)])
def test_too_few_lives_to_test_anything_pass_no_gate(lives: int, expected: int) -> None:
    few = Truth(**{**vars(BROAD), "replicates": lives})
    assert status(compare_runs(points(few, 1), points(few, 2))) == expected


def test_a_cell_of_four_lives_is_not_claimed() -> None:
    frame = points(BROAD)
    fewer = broken(frame, language="ko", block="r05")
    doubled = frame.assign(value=frame["value"] * 2)
    rows = compare_runs(fewer, doubled).rows
    cells = [r for r in rows if r["scope"] == "cell"]
    assert {(r["lives"], r["reason"]) for r in cells if r["language"] == "ko"} == {(4, "few-lives")}
    assert {r["verdict"] for r in cells if r["language"] == "en"} == {"better", "worse"}
