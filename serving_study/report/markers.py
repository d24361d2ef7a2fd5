"""Private-use markers: how a shown fact is followed from the template to its line and column.

A fact on its way to the page is wrapped in one opening character of a supplementary private-use plane, which says which
fact it is, and one closing character. Templates and catalogs hold no digits, so after rendering a digit outside a marker
has no source and fails the build. Data never carries private-use characters: `plain` replaces them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.facts import Fact
from serving_study.study.errors import StudyError

CLOSE = "\ue000"
_FIRST, _LAST = 0xF0000, 0x10FFFD
_MARKED = re.compile(f"([\U000f0000-\U0010fffd])([^{CLOSE}]*){CLOSE}")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\ud800-\udfff]+")


def plain(text: str) -> str:
    """Study text made harmless: one line, no control, direction or private-use characters."""
    return _PRIVATE.sub("\ufffd", _UNSEEN.sub(" ", text))


Dress = Callable[[Fact, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a fact is shown: file, line and column of its first character (both from 1), and the characters there."""

    fact: str
    file: str
    line: int
    column: int
    text: str


class Shown:
    """Which facts were wrapped, and which marker stands for which."""

    def __init__(self) -> None:
        self._markers: dict[str, str] = {}
        self._facts: dict[str, Fact] = {}

    def mark(self, fact: Fact, text: str) -> Markup:
        """``text``, which shows ``fact`` and is already escaped for its page."""
        if fact.id not in self._markers:
            code = _FIRST + len(self._markers)
            if code > _LAST:
                raise StudyError(f"{fact.id}: a report can show {_LAST - _FIRST} facts at most; split the study")
            marker = chr(code)
            self._markers[fact.id] = marker
            self._facts[marker] = fact
        return Markup(f"{self._markers[fact.id]}{text}{CLOSE}")

    def facts(self) -> list[Fact]:
        """The facts that were marked, in order of first appearance."""
        return list(self._facts.values())

    def settle(self, text: str, file: str, dress: Dress | None = None) -> tuple[str, list[Position]]:
        """``text`` without markers, and where each fact stands in it.

        ``dress(fact, span)`` gives what to put before and after the span, such as the tags of a link.
        """
        pieces: list[str] = []
        positions: list[Position] = []
        line, column, end = 1, 1, 0
        for match in _MARKED.finditer(text):
            fact = self._facts[match[1]]
            before, after = dress(fact, match[2]) if dress else ("", "")
            lead = text[end : match.start()] + before
            line, column = _advance(line, column, lead)
            positions.append(Position(fact.id, file, line, column, match[2]))
            line, column = _advance(line, column, match[2] + after)
            pieces += [lead, match[2], after]
            end = match.end()
        settled = "".join([*pieces, text[end:]])
        if stray := _PRIVATE.search(settled):
            raise StudyError(f"{file}: a marker is broken near {settled[max(0, stray.start() - 40) : stray.end()]!r}")
        return settled, positions


def unmarked(text: str) -> str:
    """``text`` with the markers taken away and what they held kept."""
    return _PRIVATE.sub("", text)


def refuse_untraced(text: str, file: str) -> None:
    """Raise if a digit stands outside a marker."""
    for number, line in enumerate(text.split("\n"), start=1):
        bare = _MARKED.sub("", line)
        found = next((character for character in bare if unicodedata.category(character)[0] == "N"), None)
        if found is not None:
            raise StudyError(
                f"{file}: line {number}: {found!r} comes from no fact: {bare.strip()!r}; show it through a fact"
            )


def _advance(line: int, column: int, text: str) -> tuple[int, int]:
    breaks = text.count("\n")
    if not breaks:
        return line, column + len(text)
    return line + breaks, len(text) - text.rfind("\n")
