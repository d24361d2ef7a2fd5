"""``compare A B``: a regression gate over two folders, with the statistics of the study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving_study.__main__ import main
from serving_study.analysis.runs import compare_runs
from serving_study.commands.compare import NOTHING_COMPARED, UNDECIDED, WORSE
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
        rows = compare_runs(points(truth, 2 * seed), points(truth, 2 * seed + 1))
        decided += any(r["verdict"] in ("better", "worse") for r in rows)
    assert decided <= 11
