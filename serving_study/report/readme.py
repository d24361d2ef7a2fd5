"""The README's numbers: quoted from a report, never typed.

A block between ``<!-- quoted: FILE#ANCHOR KIND -->`` and ``<!-- end of quote -->`` holds what stands in that report under
that heading: all of it, or the first ``table``, ``figure`` or ``list``.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from serving_study.report.document import slug
from serving_study.study.errors import StudyError

_BLOCK = re.compile(
    r"(?P<opening><!-- quoted: (?P<file>[^#\s]+)#(?P<anchor>\S+)(?: (?P<kind>table|figure|list))? -->\n)"
    r".*?(?P<closing><!-- end of quote -->)",
    re.DOTALL,
)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_TARGET = re.compile(r"(?<=\]\()(?!https?:|#)([^)\s]+)(?=\))")
_STARTS = {"table": "|", "figure": "![", "list": "- "}


def quoted(document: Path) -> str:
    """The document's text with every block as its report has it now. Raises StudyError where there is none."""

    def block(match: re.Match[str]) -> str:
        report = document.parent / match["file"]
        section = _section(report, match["anchor"])
        part = _part(section, match["kind"]) if match["kind"] else section
        if not part:
            raise StudyError(f"{document}: {report}#{match['anchor']} has no {match['kind'] or 'text'} to quote")
        folder = PurePosixPath(match["file"]).parent
        return f"{match['opening']}{_TARGET.sub(lambda target: str(folder / target[1]), part)}\n{match['closing']}"

    return _BLOCK.sub(block, document.read_text(encoding="utf-8"))


def _section(report: Path, anchor: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    if not report.exists():
        raise StudyError(f"{report}: there is no such report to quote from; render it first")
    text = report.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    for place, heading in enumerate(headings):
        if slug(heading[2]) == anchor:
            level = len(heading[1])
            ends = [later.start() for later in headings[place + 1 :] if len(later[1]) <= level]
            return text[heading.end() : ends[0] if ends else len(text)].strip()
    known = ", ".join(slug(heading[2]) for heading in headings)
    raise StudyError(f"{report}: has no heading #{anchor} to quote; it has: {known}")


def _part(section: str, kind: str) -> str:
    """The first run of lines of a kind."""
    lines = section.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith(_STARTS[kind])), len(lines))
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith(_STARTS[kind])), len(lines))
    return "\n".join(lines[start:end])
