"""What templates may say: words from the catalog, facts with their marker, nothing else.

Every function returns `Markup`, which here means *already safe on a Markdown page*; the environment refuses any other
value, so that neither study text nor a bare number can slip onto a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report import escape
from serving_study.report.catalogs import Catalog
from serving_study.report.facts import Fact, Facts
from serving_study.report.markers import Shown, plain
from serving_study.report.numbers import Numbers
from serving_study.report.words import LANGUAGES, METRICS, OF_AN_OBJECTIVE, SHARES, STATISTICS, split_metric
from serving_study.study.errors import StudyError


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes facts in one language."""

    facts: Facts
    catalog: Catalog
    numbers: Numbers
    shown: Shown

    def say(self, message: str, **parts: Markup) -> Markup:
        """A message of the catalog with its placeholders filled."""
        for name, part in parts.items():
            if not isinstance(part, Markup):
                raise StudyError(f"{message!r}: {name} is {part!r}: only facts and words of the catalog reach a page")
        return Markup(self.catalog.say(message).format(**parts))

    def value(self, fact: Fact) -> Markup:
        """A fact's value with its unit, and its interval where it has one."""
        return self.shown.mark(fact, self._text(fact, interval=True))

    def bare(self, fact: Fact) -> Markup:
        """A fact's value with its unit, without its interval."""
        return self.shown.mark(fact, self._text(fact, interval=False))

    def interval(self, fact: Fact, unit: str | None = None) -> Markup:
        """A fact's interval; ``unit`` where the fact has none of its own, as a verdict."""
        if fact.low is None or fact.high is None:
            return self.say("no interval")
        return self.shown.mark(fact, self.numbers.interval(fact.low, fact.high, unit or unit_of(fact)))

    def count(self, fact: Fact, number: object) -> Markup:
        """A whole number that a fact holds, such as one end of its interval, without a unit."""
        if not isinstance(number, int | float):
            raise StudyError(f"facts.json: {fact.id}: {number!r} is no number; run `facts` again")
        return self.shown.mark(fact, self.numbers.count(number))

    def part(self, fact: Fact, text: str) -> Markup:
        """A part of a fact's text, such as the number of a printed quantity."""
        return self.shown.mark(fact, escape.markdown(text))

    def level(self, fact: Fact) -> Markup:
        """The level of a fact's interval, as a percentage."""
        return self.shown.mark(fact, self.numbers.value(fact.level or 0.0, "share"))

    def lives(self, fact: Fact) -> Markup:
        """How many server lives a fact rests on."""
        return self.shown.mark(fact, self.numbers.count(fact.lives or 0))

    def code(self, fact: Fact) -> Markup:
        """A fact's value as code."""
        return self.code_of(fact, str(fact.value))

    def code_of(self, fact: Fact, text: str) -> Markup:
        """A name that a fact vouches for, as code."""
        opening, safe, closing = escape.code(text)
        return Markup(f"{opening}{self.shown.mark(fact, safe)}{closing}")

    def literal(self, fact: Fact, text: str) -> Markup:
        """Text that a fact vouches for, inside a block of code."""
        return self.shown.mark(fact, plain(text).replace("`", "'"))

    def block(self, fact: Fact) -> Markup:
        """The lines of a text that a fact vouches for, inside a block of code."""
        return self.join((self.literal(fact, line) for line in str(fact.value).splitlines()), "\n")

    def study(self) -> Markup:
        """The study's name, inside a block of code."""
        return self.literal(self.facts.label("study", self.facts.study), self.facts.study)

    def name(self, dimension: str, name: str) -> Markup:
        """A name of the study: a deployment, model, workload, engine."""
        if name in ("*", "all", ""):
            return self.say("all")
        if dimension == "language" and name in LANGUAGES:
            return self.say(LANGUAGES[name])
        fact = self.facts.label(dimension, name)
        return self.shown.mark(fact, escape.markdown(str(fact.value)))

    def metric(self, name: str) -> Markup:
        """The metric's name in words, with its statistic."""
        for prefix, message in OF_AN_OBJECTIVE.items():
            if name.startswith(prefix + "_"):
                return self.say(message, slo=self.name("slo", name.removeprefix(prefix + "_")))
        base, statistic = split_metric(name)
        if base not in METRICS:
            return self.shown.mark(self.facts.label("metric", name), escape.markdown(name))
        if not statistic:
            return self.say(METRICS[base])
        words = STATISTICS.get(statistic)
        shown = self.say(words) if words else self.shown.mark(self.facts.label("metric", name), statistic)
        return self.say("{metric}, {statistic}", metric=self.say(METRICS[base]), statistic=shown)

    def join(self, parts: Iterable[Markup], separator: str = ", ") -> Markup:
        """Parts in a row."""
        return Markup(separator).join(parts)

    def _text(self, fact: Fact, interval: bool) -> str:
        if fact.value is None:
            return str(self.say("not shown"))
        if isinstance(fact.value, bool):
            return str(self.say("yes") if fact.value else self.say("no"))
        if isinstance(fact.value, str):
            return escape.markdown(fact.value)
        unit = unit_of(fact)
        if interval:
            return self.numbers.value(fact.value, unit, fact.low, fact.high)
        return self.numbers.value(fact.value, unit)


PRINTED = ("claims", "contradictions")
"""Tables of numbers printed elsewhere, where a GB is a billion bytes."""
SHARE_COLUMNS = (("capacity", "attainment"), ("capacity", "target"), ("study", "attainment"))
COUNTED = {("deployments", "slots"): "slot", ("deployments", "cores"): "core"}
"""Columns of plain counts that read better with what they count."""


def unit_of(fact: Fact) -> str:
    """The unit that a number is shown in."""
    if fact.unit == "byte" and fact.source.get("table") in PRINTED:
        return "decimal byte"
    table, column = str(fact.source.get("table")), str(fact.source.get("column"))
    if (table, column) in COUNTED:
        return COUNTED[table, column]
    if fact.unit not in (None, "", "1"):
        return str(fact.unit)
    if fact.kind in ("ratio", "share"):
        return fact.kind
    if fact.kind == "count":
        return "1"
    if fact.about("metric").startswith(SHARES) or (table, column) in SHARE_COLUMNS:
        return "share"
    return "ratio" if table in ("decisions", "claims") else "1"
