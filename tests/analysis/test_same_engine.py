"""One real engine under two names: five recorded runs of the study `aa`, none of which may name a winner."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_study.analysis.collect import comparable
from serving_study.analysis.compare import compare
from serving_study.analysis.runs import read_run

RUNS = sorted((Path(__file__).parents[2] / "recorded" / "aa").iterdir())


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_an_engine_is_never_ahead_of_itself(run: Path) -> None:
    points = read_run(run)
    assert set(points["deployment"]) == {"first", "second"}
    assert points.groupby("deployment")["life"].nunique().tolist() == [5, 5]
    pairs, champions = compare(comparable(points))
    assert (pairs["verdict"] == "no-clear-winner").sum() > 10, "compared, and not left undecided"
    assert not {"better", "worse"} & set(pairs["verdict"])
    assert "champion" not in set(champions["verdict"])


def test_there_are_five_runs() -> None:
    assert len(RUNS) == 5
