"""Where published numbers contradict each other: each check computes it from the numbers of the file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

from serving_study.analysis.published import ALL, Claim, Published, RatioClaim


class Found(NamedTuple):
    """One contradiction."""

    about: str
    """Whose numbers of what, as they were printed."""
    ids: tuple[str, ...]
    first: float
    unit: str
    second: float | None = None
    second_unit: str | None = None
    """That of the first number unless it is given."""


def contradictions(p: Published) -> Iterator[dict[str, Any]]:
    """Rows of ``answers.CONTRADICTIONS``, each computed from the numbers of the file."""
    checks = (
        _same_quantity,
        _whole_outside_parts,
        _mean_of_languages,
        _sum,
        _share,
        _ratio,
        _stated_ratios,
        _quantile,
        _best,
        _by_length,
        _unlike,
    )
    for check in checks:
        for found in check(p):
            yield {
                "check": check.__name__.strip("_").replace("_", "-"),
                "about": found.about,
                "claims": ",".join(found.ids),
                "first": found.first,
                "unit": found.unit,
                "second": found.second,
                "second_unit": found.second_unit or found.unit,
            }


def _same(a: float, b: float, rounding: float) -> bool:
    return abs(a - b) <= rounding * (1 + 1e-9)


def _about(who: Claim, *printed: str) -> str:
    """``vllm en, e2e_mean: 404.79 ms; 265 ms``."""
    names = [part for part in (who.engine, who.model, who.language) if part != ALL]
    return f"{' '.join(names) or ALL}, {who.metric}: {'; '.join(printed)}"


def _between(stated: RatioClaim, *printed: str) -> str:
    """``ollama / vllm, output_throughput: 3.8x``."""
    language = "" if stated.language == ALL else f" {stated.language}"
    return f"{stated.of} / {stated.to}{language}, {stated.metric}: {'; '.join((stated.printed, *printed))}"


def _same_quantity(p: Published) -> Iterator[Found]:
    """One quantity with several values, apart from rounding."""
    for (one, a), (other, b) in combinations(p.claims.items(), 2):
        if a.quantity == b.quantity and not _same(a.exact[0], b.exact[0], max(a.rounding, b.rounding)):
            yield Found(_about(a, a.printed, b.printed), (one, other), *a.exact, b.exact[0])


def _rows(p: Published, whole: Claim) -> dict[str, Claim]:
    """The claims of single languages that ``whole`` sums up."""
    if whole.language != ALL:
        return {}
    return {
        name: c
        for name, c in p.claims.items()
        if c.language != ALL and (c.metric, c.engine, c.model) == (whole.metric, whole.engine, whole.model)
    }


def _whole_outside_parts(p: Published) -> Iterator[Found]:
    """A value over all languages that lies outside the range of the languages' own values."""
    for name, whole in p.claims.items():
        rows = _rows(p, whole)
        values = [c.exact[0] for c in rows.values()]
        value, unit = whole.exact
        if values and not min(values) <= value <= max(values):
            nearest = min(rows.values(), key=lambda c: abs(c.exact[0] - value))
            about = _about(whole, whole.printed, f"{nearest.printed} ({nearest.language})")
            yield Found(about, (name, *rows), value, unit, nearest.exact[0])


def _mean_of_languages(p: Published) -> Iterator[Found]:
    """A value over all languages that is the plain mean of the languages' rows, whatever their numbers of tokens."""
    for name, whole in p.claims.items():
        rows = _rows(p, whole)
        if len(rows) > 1:
            mean = sum(c.exact[0] for c in rows.values()) / len(rows)
            if _same(whole.exact[0], mean, whole.rounding):
                printed = " + ".join(c.printed for c in rows.values())
                about = _about(whole, whole.printed, f"({printed}) / {len(rows)}")
                yield Found(about, (name, *rows), *whole.exact, mean)


def _sum(p: Published) -> Iterator[Found]:
    """Parts that do not add up to their whole."""
    for s in p.sums.values():
        whole, parts = p.claims[s.whole], [p.claims[part] for part in s.parts]
        total = sum(c.exact[0] for c in parts)
        if not _same(whole.exact[0], total, whole.rounding + sum(c.rounding for c in parts)):
            about = _about(whole, whole.printed, " + ".join(c.printed for c in parts))
            yield Found(about, (s.whole, *s.parts), *whole.exact, total)


def _share(p: Published) -> Iterator[Found]:
    """A percentage that is not that of its numbers."""
    for s in p.shares.values():
        share, part, whole = (p.claims[name] for name in (s.share, s.part, s.whole))
        value = part.exact[0] / whole.exact[0]
        slack = share.rounding + value * (part.rounding / part.exact[0] + whole.rounding / whole.exact[0])
        if not _same(share.exact[0], value, slack):
            about = _about(share, share.printed, part.printed, whole.printed)
            yield Found(about, (s.share, s.part, s.whole), *share.exact, value)


def _ratio(p: Published) -> Iterator[Found]:
    """A stated ratio that some of the published pairs of numbers do not give."""
    for name, stated in p.ratios.items():
        for one, a in _of(p, stated.of, stated):
            for other, b in _of(p, stated.to, stated):
                value = a.exact[0] / b.exact[0]
                slack = stated.rounding + value * (a.rounding / a.exact[0] + b.rounding / b.exact[0])
                if not _same(stated.ratio, value, slack):
                    about = _between(stated, a.printed, b.printed)
                    yield Found(about, (name, one, other), stated.ratio, "1", value)


def _of(p: Published, engine: str, stated: RatioClaim) -> Iterator[tuple[str, Claim]]:
    """Numbers of an engine that a ratio may be of; of all languages where the language has none of its own."""
    mine = {n: c for n, c in p.claims.items() if (c.engine, c.metric, c.model) == (engine, stated.metric, ALL)}
    exact = {n: c for n, c in mine.items() if c.language == stated.language}
    yield from (exact or {n: c for n, c in mine.items() if c.language == ALL}).items()


def _stated_ratios(p: Published) -> Iterator[Found]:
    """Two stated ratios of one pair of engines, apart from rounding and from how they are written."""
    for (one, a), (other, b) in combinations(p.ratios.items(), 2):
        same = (a.of, a.to, a.metric, a.language) == (b.of, b.to, b.metric, b.language)
        if same and not _same(a.ratio, b.ratio, a.rounding + b.rounding):
            yield Found(_between(a, b.printed), (one, other), a.ratio, "1", b.ratio)


def _quantile(p: Published) -> Iterator[Found]:
    """A mean, of the whole or of one language's share of it, above the whole's 95th percentile."""
    for name, p95 in p.claims.items():
        if not p95.metric.endswith("_p95"):
            continue
        for other, mean in p.claims.items():
            same = mean.metric == p95.metric.replace("_p95", "_mean") and mean.engine == p95.engine
            if same and p95.language in (ALL, mean.language) and mean.exact[0] > p95.exact[0]:
                whose = "" if mean.language == ALL else f"{mean.language} "
                about = _about(p95, p95.printed, f"{whose}{mean.metric} {mean.printed}")
                yield Found(about, (name, other), *p95.exact, mean.exact[0])


def _best(p: Published) -> Iterator[Found]:
    """Two that are called the best in one metric, each with its best published number."""
    named = [(n, b, _highest(p, b.engine, b.metric)) for n, b in p.best.items() if b.engine]
    for (one, a, high), (other, b, low) in combinations(named, 2):
        if a.metric == b.metric and a.engine != b.engine and high and low:
            about = f"{a.engine} / {b.engine}, {a.metric}: {high.printed}; {low.printed}"
            yield Found(about, (one, other), *high.exact, low.exact[0])


def _highest(p: Published, engine: str | None, metric: str) -> Claim | None:
    own = [c for c in p.claims.values() if (c.engine, c.metric, c.language) == (engine, metric, ALL)]
    return max(own, key=lambda c: c.exact[0], default=None)


def _by_length(p: Published) -> Iterator[Found]:
    """A language called fastest whose answers were shortest and whose tokens came slowest."""
    for name, b in p.best.items():
        if b.language is None:
            continue
        for engine in p.engines:
            tokens, speed = (_by_language(p, engine, metric) for metric in ("output_tokens_mean", "output_throughput"))
            if b.language not in tokens or b.language not in speed:
                continue
            shortest, slowest = (min(of, key=lambda lang: of[lang][1].exact[0]) for of in (tokens, speed))
            if shortest == slowest == b.language:
                (one, length), (other, rate) = tokens[b.language], speed[b.language]
                about = f"{engine} {b.language}, {b.metric}: {length.printed}; {rate.printed}"
                yield Found(about, (name, one, other), *length.exact, *rate.exact)


def _by_language(p: Published, engine: str, metric: str) -> dict[str, tuple[str, Claim]]:
    """Language to its claim, with its id."""
    own = ((n, c) for n, c in p.claims.items() if (c.engine, c.metric, c.model) == (engine, metric, ALL))
    return {c.language: (n, c) for n, c in own if c.language != ALL}


def _unlike(p: Published) -> Iterator[Found]:
    """Engines compared though their numbers count different things, or the type of their weights was not said."""
    for name, stated in p.ratios.items():
        a, b = p.engines[stated.of], p.engines[stated.to]
        if "memory" in stated.metric and a.memory != b.memory:
            yield Found(_between(stated, f"memory {a.memory} / {b.memory}"), (name,), stated.ratio, "1")
        if a.weights is None or b.weights is None or a.weights != b.weights:
            said = f"weights {a.weights or '?'} / {b.weights or '?'}"
            yield Found(_between(stated, said), (name,), stated.ratio, "1")
