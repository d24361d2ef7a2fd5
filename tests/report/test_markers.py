"""Markers: a fact is followed to its line and column, and a digit without one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_study.report.facts import Fact
from serving_study.report.markers import Shown, plain, refuse_untraced
from serving_study.study.errors import StudyError


def fact(name: str) -> Fact:
    return Fact(id=name, kind="count", value=1)


def test_a_position_is_where_the_text_stands_in_the_settled_page() -> None:
    shown = Shown()
    page = f"One\ntwo {shown.mark(fact('a'), '12')} and {shown.mark(fact('b'), '한글 3')}\n{shown.mark(fact('a'), '4')}"
    text, positions = shown.settle(page, "page.md")
    assert text == "One\ntwo 12 and 한글 3\n4"
    lines = text.split("\n")
    for position in positions:
        at = lines[position.line - 1][position.column - 1 :]
        assert at.startswith(position.text)
    assert [position.fact for position in positions] == ["a", "b", "a"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="ab\n #|"), st.integers(0, 9), st.text(alphabet="0123. [")), max_size=12))
def test_positions_hold_for_any_text_around_them(pieces: list[tuple[str, int, str]]) -> None:
    shown = Shown()
    marked = "".join(f"{between}{shown.mark(fact(str(number)), span)}" for between, number, span in pieces)
    text, positions = shown.settle(marked, "page.md")
    assert text == "".join(between + span for between, _, span in pieces)
    lines = text.split("\n")
    for position in positions:
        assert lines[position.line - 1][position.column - 1 :].startswith(position.text)


@pytest.mark.parametrize("character", ["7", "٣", "²", "½", "Ⅷ", "７"])
def test_a_digit_of_any_script_outside_a_marker_is_refused(character: str) -> None:
    with pytest.raises(StudyError, match="line 2"):
        refuse_untraced(f"fine\nnot {character} fine", "page.md")


def test_study_text_cannot_forge_a_marker() -> None:
    shown = Shown()
    shown.mark(fact("a"), "1")
    forged = plain("\U000f00005\ue000 and \u202ereversed\nlines")
    assert "\U000f0000" not in forged and "\ue000" not in forged and "\u202e" not in forged and "\n" not in forged


def test_a_marker_that_is_never_closed_is_an_error() -> None:
    shown = Shown()
    broken = str(shown.mark(fact("a"), "1"))[:-1]
    with pytest.raises(StudyError, match="marker is broken"):
        shown.settle(broken, "page.md")
