"""``report.html``: all languages in one file that needs nothing else, made of the same Markdown as the other reports."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from serving_study.report.catalogs import catalog
from serving_study.report.document import TEMPLATES, Page, slug
from serving_study.report.facts import Fact
from serving_study.report.fonts import as_data
from serving_study.report.markers import Position, Shown, refuse_untraced, unmarked
from serving_study.report.numbers import Numbers
from serving_study.report.words import N_

FILE = "report.html"


def write_html(study: str, pages: Mapping[str, Page], shown: Shown, figures: Path | None) -> tuple[str, list[Position]]:
    """The page, and where each fact stands in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    given = {
        "articles": {language: Markup(_article(page.marked, language, figures)) for language, page in pages.items()},
        "_": lambda message, language: catalog(language).say(message),
        "N_": N_,
        "font": as_data(),
        "names": {language: catalog(language).locale.get_display_name(language) for language in pages},
    }
    refuse_untraced(_Read(template.render(study="", facts=[], **given)).text, FILE)
    page = template.render(study=study, facts=[_entry(fact) for fact in shown.facts()], **given)
    return shown.settle(page, FILE, _link)


def anchor(fact_id: str) -> str:
    """The id of a fact's trace entry on the page."""
    return "trace-" + quote(fact_id, safe="-._~/").replace("/", ":")


def _link(fact: Fact, text: str) -> tuple[str, str]:
    value = "" if fact.value is None or isinstance(fact.value, str) else f' data-value="{float(fact.value):.9g}"'
    return f'<a class="fact" href="#{quote(anchor(fact.id))}" data-fact="{escape(fact.id)}"{value}>', "</a>"


def _entry(fact: Fact) -> dict[str, Any]:
    plain = Numbers(catalog("en").locale)
    ends = [fact.low, fact.high] if fact.low is not None and fact.high is not None else []
    row = fact.source.get("row") or {}
    return {
        "anchor": anchor(fact.id),
        "id": fact.id,
        "value": ""
        if fact.value is None
        else f"{fact.value:.9g}"
        if isinstance(fact.value, float)
        else str(fact.value),
        "unit": fact.unit or "",
        "interval": ", ".join(f"{end:.9g}" for end in ends),
        "level": plain.value(fact.level, "share") if fact.level is not None else "",
        "lives": "" if fact.lives is None else str(fact.lives),
        "n": "" if fact.n is None else str(fact.n),
        "table": str(fact.source.get("table", "")),
        "row": ", ".join(f"{key} = {value}" for key, value in row.items()) if isinstance(row, dict) else str(row),
        "column": str(fact.source.get("column", "")),
    }


def _article(markdown: str, language: str, figures: Path | None) -> str:
    reader = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    return str(reader.render(markdown, {"language": language, "figures": figures, "heading": ""}))


class _Renderer(RendererHTML):
    """Headings with anchors, tables that scroll, figures inside the page."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        text = tokens[idx + 1].content
        env["heading"] = unmarked(text)
        tokens[idx].attrSet("id", f"{env['language']}-{slug(env['heading'])}-{idx}" if tokens[idx].tag != "h2" else
                            f"{env['language']}-{slug(env['heading'])}")  # fmt: skip
        return self.renderToken(tokens, idx, options, env)

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f'<div class="table" role="group" tabindex="0" aria-label="{escape(env["heading"])}"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        tokens[idx].attrSet("scope", "col")
        return self.renderToken(tokens, idx, options, env)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        target = str(tokens[idx].attrGet("href") or "")
        if target.startswith("#"):
            tokens[idx].attrSet("href", f"#{env['language']}-{target[1:]}")
        return self.renderToken(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        drawn = (env["figures"] / Path(str(token.attrGet("src"))).name).read_bytes()
        source = "data:image/svg+xml;base64," + base64.b64encode(drawn).decode()
        return f'<img class="figure" alt="{escape(unmarked(token.content))}" src="{source}">'


class _Read(HTMLParser):
    """What a reader of the page sees or hears, without its trace."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._silent = 0
        self._pieces: list[str] = []
        self.feed(page)
        self.text = "".join(self._pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._silent += tag in ("script", "style", "template")
        self._pieces += [f" {named[key]} " for key in ("alt", "title") if named.get(key)]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "template")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._pieces.append(data)
