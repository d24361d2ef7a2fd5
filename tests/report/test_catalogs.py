"""Catalogs and templates: complete, without digits, and Korean that fits any name."""

from __future__ import annotations

import re
import string
import unicodedata
from pathlib import Path

import pytest

from serving_study.report.catalogs import FOLDER, SOURCE_LANGUAGE, languages, messages_of
from serving_study.report.document import TEMPLATES
from serving_study.report.extract import messages

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


def test_no_korean_heading_is_mixed_with_slashes() -> None:
    assert [str(m.string) for m in messages_of("ko") if re.search(r"[가-힣] ?/ ?[가-힣A-Za-z]", str(m.string))] == []


def test_catalog_files_are_named_by_language() -> None:
    assert all(re.fullmatch(r"[a-z]{2}", path.stem) for path in FOLDER.glob("*.po"))
