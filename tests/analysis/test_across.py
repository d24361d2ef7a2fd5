"""Codes that only a look at other deployments or lives can give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving_study.analysis import answers, tables
from serving_study.analysis.across import asked_alike
from serving_study.analysis.collect import Measured, read_cells
from serving_study.analysis.steadiness import steadiness_rows
from tests.analysis.made_up import aggregate, facts_of, write_runs
from tests.analysis.synthetic import Truth

TWO = Truth(replicates=3, languages=("en", "ko"), effects={"four-slots": 1.5})
THREE = Truth(deployments=("a", "b", "c"), replicates=1, languages=("ko",), workloads=("c4",))
Row = pd.Series


def change(root: Path, pattern: str, name: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    for file in sorted(root.glob(f"cells/{pattern}/{name}.parquet")):
        how(pd.read_parquet(file)).to_parquet(file, index=False)


def templated(tokens: float | None, model: str = "gemma3-270m") -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Requests of a model whose template takes other tokens."""
    return lambda requests: requests.assign(
        prompt_tokens=requests["prompt_tokens"].astype(float).mask(requests["model"] == model, tokens)
    )


def read(root: Path) -> list[Measured]:
    files = {
        name: sorted(root.glob(f"cells/*/*/*/{name}")) for name in ("cell.json", "points.parquet", "metrics.parquet")
    }
    return asked_alike(read_cells(*files.values()))


def codes(cells: list[Measured]) -> dict[tuple[str, str], Any]:
    """Deployment and model to the codes of its points."""
    return {
        (m.cell.deployment, str(model)): ",".join(sorted(set(own["codes"])))
        for m in cells
        for model, own in m.points.groupby("model", observed=True)
    }


def test_an_engine_that_templates_differently_is_never_ranked(tmp_path: Path) -> None:
    s = write_runs(tmp_path, TWO)
    change(tmp_path, "four-slots/ko/*", "metrics", templated(61))
    folder = aggregate(tmp_path, s)
    validity = tables.VALIDITY.read(folder)
    assert set(validity["code"]) == {"TOKEN_MISMATCH"}
    assert set(validity["language"]) == {"ko"} and set(validity["model"]) == {"gemma3-270m"}
    # of two that differ nobody knows which one is right
    assert set(validity["deployment"]) == {"one-slot", "four-slots"}
    assert validity["fatal"].all()
    reason = validity[validity["deployment"] == "four-slots"].iloc[0]["reason"]
    assert reason.startswith("12 of 12 prompts took another number of tokens") and reason.endswith(
        "took 61, with one-slot 60"
    )
    pairs = tables.PAIRS.read(folder).query("scope == 'cell' and metric == 'ttft_p50' and language == 'ko'")
    assert set(pairs["model"]) == {"smollm2-135m"}


def test_the_one_that_differs_from_most_is_left_out_and_no_other(tmp_path: Path) -> None:
    write_runs(tmp_path, THREE)
    change(tmp_path, "b/*/*", "metrics", templated(59))
    found = codes(read(tmp_path))
    assert found.pop(("b", "gemma3-270m")) == "TOKEN_MISMATCH"
    assert set(found.values()) == {""}


def test_a_single_prompt_is_enough(tmp_path: Path) -> None:
    def one(requests: pd.DataFrame) -> pd.DataFrame:
        odd = (requests["prompt"] == "question-07") & (requests["model"] == "gemma3-270m")
        return requests.assign(prompt_tokens=requests["prompt_tokens"].mask(odd, 62))

    write_runs(tmp_path, THREE)
    change(tmp_path, "c/*/*", "metrics", one)
    (cell,) = (m for m in read(tmp_path) if m.cell.deployment == "c")
    (reason,) = set(cell.points[cell.points["codes"] != ""]["reasons"])
    assert "1 of 12 prompts" in reason and "question-07 took 62, with a 60" in reason


def test_deployments_that_tell_no_prompt_tokens_are_left_out_of_the_question(tmp_path: Path) -> None:
    write_runs(tmp_path, THREE)
    change(tmp_path, "b/*/*", "metrics", templated(None))
    assert set(codes(read(tmp_path)).values()) == {""}


def test_requests_of_other_numbers_in_their_cell_are_the_same_requests(tmp_path: Path) -> None:
    write_runs(tmp_path, THREE)
    change(tmp_path, "c/*/*", "metrics", lambda r: r.assign(request=r["request"] + 1000))
    change(tmp_path, "c/*/*", "metrics", templated(61))
    assert codes(read(tmp_path))["c", "gemma3-270m"] == "TOKEN_MISMATCH"


def drifting(value: float | None, reason: str | None = None, model: str = "gemma3-270m") -> Callable[..., pd.DataFrame]:
    def how(own: pd.DataFrame) -> pd.DataFrame:
        here = (own["metric"] == "drift") & (own["model"] == model) & (own["workload"] == "c4")
        return own.assign(value=own["value"].mask(here, value), reason=own["reason"].astype(object).mask(here, reason))

    return how


def test_a_drift_over_lives_is_noted_in_every_life_of_the_point_and_forbids_nothing(tmp_path: Path) -> None:
    s = write_runs(tmp_path, TWO)
    change(tmp_path, "four-slots/ko/*", "points", drifting(0.08))
    folder = aggregate(tmp_path, s)
    noted = tables.VALIDITY.read(folder)
    assert set(noted["code"]) == {"NOT_STEADY"} and not noted["fatal"].any()
    assert list(noted[["deployment", "language", "model", "workload"]].drop_duplicates().iloc[0]) == [
        "four-slots", "ko", "gemma3-270m", "c4",
    ]  # fmt: skip
    assert sorted(noted["replicate"]) == [1, 2, 3]
    assert set(noted["reason"]) == {"throughput drifted by +8.3% on average over 3 lives; the limit is 4.0%"}
    of_point = tables.POINTS.read(folder).query("deployment == 'four-slots' and language == 'ko' and workload == 'c4'")
    assert set(of_point[of_point["model"] == "gemma3-270m"]["codes"]) == {"NOT_STEADY"}
    assert not of_point["fatal"].any()


def test_points_that_could_not_be_judged_for_want_of_requests_are_counted(tmp_path: Path) -> None:
    s = write_runs(tmp_path, TWO)
    change(tmp_path, "four-slots/*/*", "points", drifting(None, "too-few-requests"))
    found = facts_of(tmp_path, s)
    assert found["count/points-not-judged-steadiness"]["value"] == 2
    assert found["count/points-judged-steadiness"]["value"] == 2 * 2 * 2 * 2 - 2
    fact = found["steady/four-slots/gemma3-270m/ko/c4"]
    assert (fact["value"], fact["reason"]) == ("not-told", "too-few-requests")


@pytest.mark.parametrize(("lives", "steady", "reason"), [(2, None, "few-lives"), (3, False, None)])
def test_two_lives_are_too_few_to_call_a_point_unsteady(lives: int, steady: bool | None, reason: str | None) -> None:
    frame = pd.DataFrame(
        {
            "metric": "drift", "fatal": False, "value": 0.08, "reason": None,
            "deployment": "d", "model": "m", "language": "en", "workload": "c4",
        },
        index=range(lives),
    )  # fmt: skip
    (row,) = answers.STEADINESS.frame(steadiness_rows(frame, 0.04)).to_dict("records")
    assert (row["steady"], None if pd.isna(row["reason"]) else row["reason"]) == (steady, reason)
