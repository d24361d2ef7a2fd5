"""The template tree: one set of templates, written in each language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from serving_study.report.answers import Answers
from serving_study.report.catalogs import catalog, languages
from serving_study.report.deployed import Deployed
from serving_study.report.evidence import Evidence
from serving_study.report.facts import Facts
from serving_study.report.markers import Position, Shown, refuse_untraced
from serving_study.report.numbers import Numbers
from serving_study.report.sentences import Sentences
from serving_study.report.writer import Writer
from serving_study.study.errors import StudyError

DEFAULT_STUDY = "quickstart"
"""The study that `make report` measures: the one that ``config/config.yaml`` comes with."""
TEMPLATES = Path(__file__).parent / "templates"
_BLANK_LINES = re.compile(r"\n{3,}")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_CONTENTS = "\ue001"
"""Private use, as the markers are, so that no study text can ask for the contents."""


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file: with markers, as readers get it, and where each fact stands in the latter."""

    file: str
    marked: str
    text: str
    positions: list[Position]


def write_pages(facts: Facts, shown: Shown, figures: Path | None) -> dict[str, Page]:
    """The full report in each language (by language), and the summary in all of them (``summary``)."""
    pages = {}
    summaries = []
    for language in languages():
        words = catalog(language)
        writer = Writer(facts, words, Numbers(words.locale, words.say), shown)
        environment = environment_of(writer, figures)
        pages[language] = _page(f"report.{language}.md", _written(environment, "report.md"), shown)
        summaries.append(_written(environment, "summary.md"))
    pages["summary"] = _page("report.md", "\n---\n\n".join(summaries), shown)
    return pages


def environment_of(writer: Writer, figures: Path | None) -> Environment:
    """Templates that can say nothing but words of the catalog and facts."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_safe,
    )
    language = writer.catalog.language

    def figure(name: str, alternative: Markup) -> Markup:
        """The figure as an image with its alternative text; nothing where it was not drawn."""
        if figures is None or not (figures / f"{name}.{language}.svg").is_file():
            return Markup()
        return Markup("![{}](figures/{}.{}.svg)").format(alternative, Markup(name), Markup(language))

    environment.globals.update(
        _=writer.say,
        write=writer,
        facts=writer.facts,
        arrange=Evidence(writer),
        deployed=Deployed(writer),
        answers=Answers(writer),
        sentences=Sentences(writer),
        figure=figure,
        default_study=DEFAULT_STUDY,
        file=Markup(f"report.{language}.md"),
        contents=Markup(_CONTENTS),
        language=language,
    )
    return environment


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _written(environment: Environment, template: str) -> str:
    text = environment.get_template(template).render()
    headings = _HEADING.findall(text)
    lines = [f"- [{heading}](#{slug(heading)})" for heading in headings]
    return _BLANK_LINES.sub("\n\n", text.replace(_CONTENTS, "\n".join(lines))).strip() + "\n"


def _page(file: str, marked: str, shown: Shown) -> Page:
    refuse_untraced(marked, file)
    text, positions = shown.settle(marked, file)
    return Page(file, marked, text, positions)


def _only_safe(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    raise StudyError(f"templates: {value!r}: a page shows facts and words of the catalog only; use write or _()")
