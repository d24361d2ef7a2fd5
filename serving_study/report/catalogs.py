"""The report's languages: English is the source, every other language is one ``catalogs/LANGUAGE.po``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog as Messages
from babel.messages.pofile import read_po

from serving_study.study.errors import StudyError

SOURCE_LANGUAGE = "en"
FOLDER = Path(__file__).parent / "catalogs"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Words of one language."""

    language: str
    locale: Locale
    words: Mapping[str, str] | None
    """None for the source language."""

    def say(self, message: str) -> str:
        """The message in this language; one that was never translated is an error."""
        if self.words is None:
            return message
        if not self.words.get(message):
            raise StudyError(f"catalogs/{self.language}.po: {message!r} has no translation; add it")
        return self.words[message]


def languages() -> tuple[str, ...]:
    """Languages in which a report can be written, the source first."""
    return (SOURCE_LANGUAGE, *sorted(path.stem for path in FOLDER.glob("*.po")))


@cache
def catalog(language: str) -> Catalog:
    """The catalog of a language."""
    if language not in languages():
        raise StudyError(
            f"--language {language}: must be one of {', '.join(languages())}; or add catalogs/{language}.po"
        )
    locale = Locale.parse(language)
    if language == SOURCE_LANGUAGE:
        return Catalog(language, locale, None)
    messages = messages_of(language)
    words = {str(m.id): str(m.string) for m in messages if m.id and not m.fuzzy}
    return Catalog(language, locale, words)


def messages_of(language: str) -> Messages:
    """The catalog file of a language as Babel reads it."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)
