"""Catalogs and templates: complete, without digits, and Korean that fits any name."""

from __future__ import annotations

import re
import string
import unicodedata
from pathlib import Path

import pytest

from serving_study.report.catalogs import FOLDER, SOURCE_LANGUAGE, catalog, languages, messages_of
from serving_study.report.document import TEMPLATES
from serving_study.report.extract import messages
from serving_study.report.words import UNITS

OTHERS = [language for language in languages() if language != SOURCE_LANGUAGE]
_PARTICLE = re.compile(r"\}(은|는|이|가|을|를|과|와|로|으로|이나|나|이라|라)(?![가-힣])")


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def has_digit(text: str) -> bool:
    return any(unicodedata.category(character)[0] == "N" for character in text)


def test_english_and_korean_are_there() -> None:
    assert languages()[:1] == ("en",) and "ko" in languages()


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_and_none_is_left_over(language: str) -> None:
    translated = {str(m.id): str(m.string) for m in messages_of(language) if m.id}
    said = set(messages())
    assert sorted(said - {message for message, text in translated.items() if text}) == []
    assert sorted(set(translated) - said) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_placeholders_of_its_message(language: str) -> None:
    for message in messages_of(language):
        assert not message.id or placeholders(str(message.string)) == placeholders(str(message.id)), message.id


def test_no_message_holds_a_digit() -> None:
    assert [message for message in messages() if has_digit(message)] == []
    for language in OTHERS:
        assert [m.string for m in messages_of(language) if m.id and has_digit(str(m.string))] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.md")), ids=lambda path: path.name)
def test_no_template_of_the_report_holds_a_digit(template: Path) -> None:
    assert not has_digit(template.read_text("utf-8"))


def test_the_page_around_the_report_shows_no_digit() -> None:
    text = re.sub(r"<[^>]*>", "", (TEMPLATES / "page.html").read_text("utf-8"))
    assert not has_digit(text)


def test_no_korean_particle_depends_on_what_fills_a_placeholder() -> None:
    wrong = [str(m.string) for m in messages_of("ko") if _PARTICLE.search(str(m.string))]
    assert wrong == []


def test_no_korean_words_but_units_are_mixed_with_slashes() -> None:
    units = {message for forms in UNITS.values() for message in forms}
    said = [str(m.string) for m in messages_of("ko") if m.id not in units]
    assert [text for text in said if re.search(r"[가-힣] ?/ ?[가-힣A-Za-z]", text)] == []


@pytest.mark.parametrize(
    ("awkward", "why"),
    [
        ("비율이 일이면", "a number spelt out"),
        ("수준을 차지", "translated word by word"),
        ("막는 검사에 걸리지", "a double negation"),
        ("프리픽스", "a prefix cache is 접두사 캐시 everywhere"),
        ("가중치가 {weight} 이상", "the table does not tell the direction"),
        ("판정의 근거가 된", "the numbers stand behind a verdict and do not all decide it"),
    ],
)
def test_korean_wording_that_was_found_wrong_stays_away(awkward: str, why: str) -> None:
    assert [str(m.string) for m in messages_of("ko") if awkward in str(m.string)] == [], why


def test_korean_says_whose_attainment_is_the_worst() -> None:
    words = catalog("ko")
    assert words.say("Worst model") == "충족률이 가장 낮은 모델"
    assert words.say("Worst language") == "충족률이 가장 낮은 언어"


def test_catalog_files_are_named_by_language() -> None:
    assert all(re.fullmatch(r"[a-z]{2}", path.stem) for path in FOLDER.glob("*.po"))
