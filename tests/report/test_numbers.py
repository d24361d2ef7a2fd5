"""Numbers: three significant digits, the language's grouping, and never without their unit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_study.report.catalogs import catalog, languages
from serving_study.report.numbers import Numbers


def numbers(language: str = "en") -> Numbers:
    words = catalog(language)
    return Numbers(words.locale, words.say)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (411.6, "token/s", "412 token/s"),
        (41_234_567, "ns", "41.2 ms"),
        (12_500_000_000, "ns", "12.5 s"),
        (213_909_504, "byte", "204 MiB"),
        (3 * 2**30, "byte", "3 GiB"),
        (0.98333, "share", "98.3%"),
        (1.5, "ratio", "1.50×"),
        (12345, "token", "12,345 tokens"),
        (1, "request", "1 request"),
        (4.2, "1/s", "4.20 request/s"),
        (0.0004567, "USD", "0.000457 USD"),
    ],
)
def test_a_number_keeps_its_unit(value: float, unit: str, text: str) -> None:
    assert numbers().value(value, unit) == text


def test_an_interval_is_scaled_like_its_value() -> None:
    assert numbers().value(9.9e9, "ns", 9.0e9, 11.0e9) == "9,900 ms [9,000, 11,000]"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12345, "request", "12,345건"),
        (4, "slot", "4개"),
        (2, "core", "코어 2개"),
        (523, "s", "523초"),
        (12_500_000_000, "ns", "12.5초"),
        (411.6, "token/s", "412 토큰/s"),
        (87.2, "character/s", "87.2 자/s"),
        (300, "byte/s", "300 바이트/s"),
        (0.55, "token/character", "0.550 토큰/자"),
        (4.2, "1/s", "4.20 건/s"),
    ],
)
def test_units_are_written_in_korean(value: float, unit: str, text: str) -> None:
    assert numbers("ko").value(value, unit) == text


def test_an_interval_by_itself_has_the_unit_of_its_language() -> None:
    assert numbers("ko").interval(398, 427, "token/s") == "[398, 427] 토큰/s"
    assert numbers().interval(398, 427, "token/s") == "[398, 427] token/s"
    assert numbers("ko").interval(1.1, 1.2, "ratio") == "[1.10, 1.20]"


def test_one_of_a_kind_is_singular() -> None:
    assert [numbers().value(n, "slot") for n in (1, 4)] == ["1 slot", "4 slots"]


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e15), st.sampled_from(["ns", "byte", "token/s", "1/s", "share", "ratio", "token", "USD"]))
def test_no_value_loses_its_unit_in_any_language(value: float, unit: str) -> None:
    for language in languages():
        text = numbers(language).value(value, unit)
        assert any(not character.isdigit() and character not in ",. " for character in text), text
