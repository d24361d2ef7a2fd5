"""Sentences follow the facts: turn the numbers around and the words turn with them."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_study.analysis.compared import compared
from serving_study.analysis.facts import Book
from serving_study.report.answers import Answers
from serving_study.report.arrange import Arrangement
from serving_study.report.catalogs import catalog
from serving_study.report.facts import Fact, Facts, read_facts
from serving_study.report.markers import Shown, unmarked
from serving_study.report.numbers import Numbers
from serving_study.report.sentences import Sentences
from serving_study.report.words import CHAMPION_VERDICTS, DECIDED, REVERSED, UNDECIDED
from serving_study.report.writer import Writer
from serving_study.study.errors import StudyError
from tests.analysis.made_up import write_facts
from tests.analysis.synthetic import Truth
from tests.report.conftest import render

METRICS = {"output_throughput": 1, "ttft_p50": -1, "memory_peak": -1}


def writer(facts: list[Fact], language: str = "en") -> Writer:
    words = catalog(language)
    return Writer(Facts("s", facts), words, Numbers(words.locale, words.say), Shown())


def pair(metric: str, ratio: float, verdict: str, reason: str | None = None, needed: int | None = None) -> list[Fact]:
    """Facts of one headline comparison of deployments alpha and beta, by the real code of the analysis."""
    row: dict[str, Any] = {
        "scope": "headline",
        "metric": metric,
        "better": "higher" if METRICS[metric] > 0 else "lower",
        "model": "all",
        "language": "all",
        "workload": "all",
        "a": "alpha",
        "b": "beta",
        "ratio": ratio,
        "low": ratio * 0.9,
        "high": ratio * 1.1,
        "level": 0.95,
        "simultaneous_low": ratio * 0.85,
        "simultaneous_high": ratio * 1.15,
        "simultaneous_level": 0.975,
        "lives": 5,
        "lives_needed": needed,
        "equal_weights": True,
        "verdict": verdict,
        "reason": reason,
    }
    book = Book("s")
    for fact in compared(pd.DataFrame([row]), pd.DataFrame()):
        book.add(fact)
    labels = [Fact(id=f"label/deployment/{name}", kind="label", value=name) for name in ("alpha", "beta")]
    return [Fact.model_validate(_as_dict(fact)) for fact in book] + labels


def _as_dict(fact: Any) -> dict[str, Any]:
    return asdict(fact)


def said(facts: list[Fact], language: str = "en") -> str:
    write = writer(facts, language)
    return unmarked(str(Sentences(write).pair(write.facts.rows("pairs")[0])))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(METRICS)), st.floats(1.2, 20))
def test_the_winner_of_the_sentence_is_the_winner_of_the_numbers(metric: str, ratio: float) -> None:
    for value in (ratio, 1 / ratio):
        better = (value > 1) == (METRICS[metric] > 0)
        winner, loser = ("alpha", "beta") if better else ("beta", "alpha")
        facts = pair(metric, value, "better" if better else "worse")
        english, korean = said(facts), said(facts, "ko")
        if metric == "memory_peak":
            assert re.search(rf"{loser} takes .* as much as {winner}", english)
            assert korean.index(f"{loser} 구성이") < korean.index(f"{winner} 구성의")
        else:
            assert re.search(rf"{winner} is .* as fast as {loser}", english)
            assert f"{winner} 구성이 {loser} 구성보다 빠릅니다" in korean
        times = float(re.search(r"([\d.,]+)×", english)[1].replace(",", ""))  # type: ignore[index]
        assert times == pytest.approx(ratio, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(METRICS)), st.floats(0.05, 20))
def test_an_undecided_comparison_never_names_a_winner(metric: str, ratio: float) -> None:
    for verdict, reason in (
        ("no-clear-winner", None),
        ("not-decided", "few-lives"),
        ("not-comparable", "reserved-against-used"),
    ):
        facts = pair(metric, ratio, verdict, reason, needed=8)
        assert not re.search(r"\bas (fast|much) as\b|ahead", said(facts))
        assert "보다" not in said(facts, "ko")


def test_no_clear_winner_says_that_it_proves_nothing_and_what_would_help() -> None:
    text = said(pair("ttft_p50", 1.12, "no-clear-winner", needed=8))
    assert "no evidence that they are equal" in text and "About 8 lives" in text


def test_a_verdict_without_words_fails_the_build() -> None:
    with pytest.raises(StudyError, match="no verdict that the report knows"):
        said(pair("ttft_p50", 1.1, "sort-of-better"))


def test_every_verdict_of_the_analysis_has_words() -> None:
    known = set(DECIDED) | set(REVERSED) | set(UNDECIDED)
    assert known >= {
        "faster",
        "slower",
        "less",
        "more",
        "no-clear-winner",
        "not-decided",
        "not-ranked",
        "not-comparable",
    }
    assert set(CHAMPION_VERDICTS) == {
        "champion", "no-clear-winner", "no-rival", "not-decided", "not-ranked", "not-comparable",
    }  # fmt: skip


def test_a_study_of_equals_names_no_winner_anywhere(tmp_path: Path) -> None:
    truth = Truth(
        metrics=("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "memory_peak"), replicates=3, effects={}
    )
    facts = write_facts(tmp_path, truth)
    assert render(facts, tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.en.md").read_text("utf-8")
    assert not re.search(r"as fast as|as much as|is ahead", page)
    assert "no clear winner" in page


def test_codes_that_the_report_does_not_know_are_refused(study: Path) -> None:
    facts = [
        fact.model_copy(update={"value": "perhaps"}) if fact.source.get("column") == "verdict" else fact
        for fact in read_facts(study / "facts.json")
    ]
    write = writer(facts)
    assert isinstance(Answers(write), Arrangement)
    with pytest.raises(StudyError, match="no code that the report has words for"):
        Answers(write).capacity()
