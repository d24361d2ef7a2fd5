"""Published numbers: a file of ``config/claims/``, and where its numbers contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from serving_study.study.errors import StudyError
from serving_study.study.types import Strict

ALL = "all"
UNITS = {"ms": ("ns", 1e6), "GB": ("byte", 1e9), "s": ("ns", 1e9)}
"""Printed unit to the unit of the tables and the factor."""


def half_digit(printed: float) -> float:
    """Half of the last digit that was printed."""
    return 0.5 / float(10 ** len(f"{printed:.12g}".partition(".")[2]))


class Claim(Strict):
    """One published number of an engine (or of all)."""

    engine: str = ALL
    model: str = ALL
    language: str = ALL
    metric: str
    value: float
    unit: str

    @property
    def printed(self) -> str:
        """As it stood on paper."""
        return f"{self.value:.12g} {self.unit}"

    @property
    def exact(self) -> tuple[float, str]:
        """Value and unit as the tables have them."""
        unit, factor = UNITS.get(self.unit, (self.unit, 1.0))
        return self.value * factor, unit

    @property
    def rounding(self) -> float:
        """Half of the last printed digit, in the unit of the tables."""
        return half_digit(self.value) * UNITS.get(self.unit, ("", 1.0))[1]

    @property
    def quantity(self) -> tuple[str, str, str, str]:
        """What it is a number of."""
        return self.metric, self.engine, self.model, self.language


class RatioClaim(Strict):
    """One engine against another, as it was printed."""

    of: str
    to: str
    language: str = ALL
    metric: str
    value: float
    form: Literal["times", "percent-more", "percent-less"]

    @property
    def printed(self) -> str:
        """As it stood on paper."""
        return f"{self.value:.12g}" + {"times": "x", "percent-more": " % more", "percent-less": " % less"}[self.form]

    @property
    def ratio(self) -> float:
        """The printed number as ``of`` divided by ``to``."""
        share = self.value / 100
        return self.value if self.form == "times" else 1 + share if self.form == "percent-more" else 1 - share

    @property
    def rounding(self) -> float:
        """Half of the last printed digit, as a ratio."""
        return half_digit(self.value) / (1 if self.form == "times" else 100)


class Sum(Strict):
    """A whole and its parts, by the ids of their claims."""

    whole: str
    parts: tuple[str, ...]


class Best(Strict):
    """Who was called the best in a metric: an engine or a language."""

    engine: str | None = None
    language: str | None = None
    metric: str


class EngineBasis(Strict):
    """What an engine's published numbers stand on."""

    memory: Literal["reserved", "used"]
    weights: str | None = None
    """Type of the weights; None where it was not said."""


class Published(Strict):
    """One file of ``config/claims/``."""

    title: str
    accelerator: str
    models: tuple[str, ...]
    languages: tuple[str, ...]
    engines: dict[str, EngineBasis]
    claims: dict[str, Claim]
    ratios: dict[str, RatioClaim] = Field(default_factory=dict)
    sums: dict[str, Sum] = Field(default_factory=dict)
    best: dict[str, Best] = Field(default_factory=dict)
    recommendations: dict[str, str] = Field(default_factory=dict)


def read_published(path: Path) -> Published:
    """The file, checked. Raises StudyError naming the key."""
    try:
        return Published.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); name a file of config/claims/") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise StudyError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def contradictions(p: Published) -> Iterator[dict[str, Any]]:
    """Rows of ``answers.CONTRADICTIONS``, each computed from the numbers of the file."""
    checks = (
        _same_quantity,
        _whole_outside_parts,
        _mean_of_languages,
        _sum,
        _ratio,
        _quantile,
        _best,
        _by_length,
        _unlike,
    )
    for check in checks:
        for about, ids, first, second, unit in check(p):
            yield {
                "check": check.__name__.strip("_").replace("_", "-"),
                "about": about,
                "claims": ",".join(ids),
                "first": first,
                "second": second,
                "unit": unit,
            }


Found = Iterator[tuple[str, tuple[str, ...], float | None, float | None, str]]


def _same(a: float, b: float, rounding: float) -> bool:
    return abs(a - b) <= rounding * (1 + 1e-9)


def _about(c: Claim) -> str:
    return "/".join(part for part in (c.metric, c.engine, c.model, c.language) if part != ALL)


def _same_quantity(p: Published) -> Found:
    """One quantity with several values, apart from rounding."""
    for (one, a), (other, b) in combinations(p.claims.items(), 2):
        if a.quantity == b.quantity and not _same(a.exact[0], b.exact[0], max(a.rounding, b.rounding)):
            yield f"{_about(a)}/{one}/{other}", (one, other), a.exact[0], b.exact[0], a.exact[1]


def _rows(p: Published, whole: Claim) -> dict[str, Claim]:
    """The claims of single languages that ``whole`` sums up."""
    if whole.language != ALL:
        return {}
    return {
        name: c
        for name, c in p.claims.items()
        if c.language != ALL and (c.metric, c.engine, c.model) == (whole.metric, whole.engine, whole.model)
    }


def _whole_outside_parts(p: Published) -> Found:
    """A value over all languages that lies outside the range of the languages' own values."""
    for name, whole in p.claims.items():
        rows = _rows(p, whole)
        values = [c.exact[0] for c in rows.values()]
        value, unit = whole.exact
        if values and not min(values) <= value <= max(values):
            nearest = min(values, key=lambda v: abs(v - value))
            yield f"{_about(whole)}/{name}", (name, *rows), value, nearest, unit


def _mean_of_languages(p: Published) -> Found:
    """A value over all languages that is the plain mean of the languages' rows, whatever their numbers of tokens."""
    for name, whole in p.claims.items():
        rows = _rows(p, whole)
        if len(rows) > 1:
            mean = sum(c.exact[0] for c in rows.values()) / len(rows)
            if _same(whole.exact[0], mean, whole.rounding):
                yield f"{_about(whole)}/{name}", (name, *rows), whole.exact[0], mean, whole.exact[1]


def _sum(p: Published) -> Found:
    """Parts that do not add up to their whole."""
    for about, s in p.sums.items():
        whole, parts = p.claims[s.whole], [p.claims[part] for part in s.parts]
        total = sum(c.exact[0] for c in parts)
        if not _same(whole.exact[0], total, whole.rounding + sum(c.rounding for c in parts)):
            yield about, (s.whole, *s.parts), whole.exact[0], total, whole.exact[1]


def _ratio(p: Published) -> Found:
    """A stated ratio that some of the published pairs of numbers do not give."""
    for name, stated in p.ratios.items():
        for one, a in _of(p, stated.of, stated):
            for other, b in _of(p, stated.to, stated):
                value = a.exact[0] / b.exact[0]
                slack = stated.rounding + value * (a.rounding / a.exact[0] + b.rounding / b.exact[0])
                if not _same(stated.ratio, value, slack):
                    yield f"{name}/{one}/{other}", (name, one, other), stated.ratio, value, "1"


def _of(p: Published, engine: str, stated: RatioClaim) -> Iterator[tuple[str, Claim]]:
    """Numbers of an engine that a ratio may be of; of all languages where the language has none of its own."""
    mine = {n: c for n, c in p.claims.items() if (c.engine, c.metric, c.model) == (engine, stated.metric, ALL)}
    exact = {n: c for n, c in mine.items() if c.language == stated.language}
    yield from (exact or {n: c for n, c in mine.items() if c.language == ALL}).items()


def _quantile(p: Published) -> Found:
    """A mean, of the whole or of one language's share of it, above the whole's 95th percentile."""
    for name, p95 in p.claims.items():
        if not p95.metric.endswith("_p95"):
            continue
        for other, mean in p.claims.items():
            same = mean.metric == p95.metric.replace("_p95", "_mean") and mean.engine == p95.engine
            if same and p95.language in (ALL, mean.language) and mean.exact[0] > p95.exact[0]:
                yield f"{_about(p95)}/{other}", (name, other), p95.exact[0], mean.exact[0], p95.exact[1]


def _best(p: Published) -> Found:
    """Two that are called the best in one metric, each with its best published number."""
    named = [(n, b) for n, b in p.best.items() if b.engine]
    for (one, a), (other, b) in combinations(named, 2):
        if a.metric == b.metric and a.engine != b.engine:
            values = [
                max((c.exact[0] for c in p.claims.values() if (c.engine, c.metric, c.language) == (x.engine, x.metric, ALL)), default=None)
                for x in (a, b)
            ]  # fmt: skip
            yield f"{a.metric}/{a.engine}/{b.engine}", (one, other), values[0], values[1], ""


def _by_length(p: Published) -> Found:
    """A language called fastest whose answers were shortest and whose tokens came slowest."""
    for name, b in p.best.items():
        if b.language is None:
            continue
        for engine in p.engines:
            rows = {
                (c.language, c.metric): (n, c.exact[0])
                for n, c in p.claims.items()
                if c.engine == engine and c.language != ALL
            }
            tokens = {lang: v for (lang, m), v in rows.items() if m == "output_tokens_mean"}
            speed = {lang: v for (lang, m), v in rows.items() if m == "output_throughput"}
            if b.language not in tokens or b.language not in speed:
                continue
            shortest = min(tokens, key=lambda lang: tokens[lang][1]) == b.language
            slowest = min(speed, key=lambda lang: speed[lang][1]) == b.language
            if shortest and slowest:
                ids = (name, tokens[b.language][0], speed[b.language][0])
                yield f"{b.metric}/{engine}/{b.language}", ids, tokens[b.language][1], speed[b.language][1], ""


def _unlike(p: Published) -> Found:
    """Engines compared though their numbers count different things, or the type of their weights was not said."""
    for name, stated in p.ratios.items():
        a, b = p.engines[stated.of], p.engines[stated.to]
        if "memory" in stated.metric and a.memory != b.memory:
            yield f"memory/{name}", (name,), None, None, ""
        if a.weights is None or b.weights is None or a.weights != b.weights:
            yield f"weights/{name}", (name,), None, None, ""
