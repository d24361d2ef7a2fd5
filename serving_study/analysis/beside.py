"""Published numbers beside what was measured: agrees, differs, or not comparable and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.capacity import share_interval
from serving_study.analysis.contrasts import ratio
from serving_study.analysis.estimates import LEVEL, is_share, mean_over_lives
from serving_study.analysis.facts import rows
from serving_study.analysis.mix import block_means
from serving_study.analysis.published import ALL, UNSTATED, Claim, Published, RatioClaim
from serving_study.study.types import Study

Row = dict[str, Any]
_EMPTY: Row = {
    "deployment": "",
    "workload": ALL,
    "metric": "",
    "engine": "",
    "model": ALL,
    "language": ALL,
    "claimed": None,
    "printed": "",
    "named": None,
    "unit": "",
    "value": None,
    "low": None,
    "high": None,
    "level": LEVEL,
    "measured_name": None,
    "lives": 0,
    "verdict": "not-comparable",
    "reason": None,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What claims are held against."""

    study: Study
    points: pd.DataFrame
    """Those that may be compared."""
    accelerators: Mapping[str, str]
    """Deployment to the accelerators that it ran on."""
    recommendations: pd.DataFrame
    short: pd.DataFrame
    """Points left out because their answers stopped early."""

    def of_engine(self, engine: str) -> list[str]:
        """Deployments of an engine."""
        return [name for name, d in self.study.deployments.items() if d.engine == engine]


def claim_rows(p: Published, m: Measured) -> Iterator[Row]:
    """Rows of ``answers.CLAIMS``: every claim, once for each deployment of its engine and each load.

    The published numbers state no load, so that none of the measured ones is the right one.
    """
    for name, claim in p.claims.items():
        value, unit = claim.exact
        row = _EMPTY | {
            "claim": name,
            "claimed": value,
            "printed": claim.printed,
            "unit": unit,
            **claim.model_dump(include=_ABOUT),
        }
        for deployment in m.of_engine(claim.engine) or [""]:
            for found in _beside(p, m, claim, deployment):
                yield row | {"deployment": deployment} | found
    for name, stated in p.ratios.items():
        row = _EMPTY | {
            "claim": name,
            "claimed": stated.ratio,
            "printed": stated.printed,
            "unit": "1",
            "metric": stated.metric,
        }
        row |= {"engine": f"{stated.of}/{stated.to}", "language": stated.language}
        both = [(a, b) for a in m.of_engine(stated.of) for b in m.of_engine(stated.to)]
        for a, b in both or [("", "")]:
            for found in _ratio_beside(p, m, stated, a, b):
                yield row | {"deployment": f"{a}/{b}" if a else ""} | found
    for use_case, engines in p.recommendations.items():
        row = _EMPTY | {"claim": f"recommendation-{use_case}", "metric": "recommendation", "named": engines}
        yield row | _recommendation_beside(p, m, use_case, engines)


_ABOUT = {"engine", "model", "language", "metric"}


def _why_not(
    p: Published, m: Measured, deployments: Iterable[str], metric: str, model: str, language: str
) -> str | None:
    """Why a claim cannot be held against these deployments."""
    if not all(deployments):
        return "engine-not-measured"
    if not any(m.points["metric"] == metric) and not any(m.short["metric"] == metric):
        return "no-metric"
    if any(p.accelerator not in m.accelerators.get(d, "") for d in deployments):
        return "other-hardware"
    if model == UNSTATED:
        return "model-not-stated"
    wanted = {model} if model != ALL else set(p.models)
    if any(wanted - set(m.study.deployments[d].models) for d in deployments):
        return "model-not-measured"
    languages = {language} if language != ALL else set(p.languages)
    return "language-not-measured" if languages - set(m.study.languages) else None


def _loads(m: Measured, metric: str) -> list[str]:
    """Loads under which a metric was measured; ``*`` for what belongs to a whole life."""
    return sorted({w for points in (m.points, m.short) for w in points[points["metric"] == metric]["workload"]})


def _own(p: Published, points: pd.DataFrame, deployment: str, claim: Claim | RatioClaim, load: str) -> pd.DataFrame:
    """Points of the claim's own metric, models and languages under one load."""
    model = claim.model if isinstance(claim, Claim) else ALL
    found = points[(points["deployment"] == deployment) & (points["metric"] == claim.metric)]
    found = found[(found["workload"] == load) & found["model"].isin([model] if model != ALL else [*p.models, "*"])]
    return found[found["language"].isin([claim.language] if claim.language != ALL else p.languages)]


def _cells(own: pd.DataFrame) -> pd.DataFrame:
    """Values: rows are cells, columns blocks that have them all."""
    return own.pivot_table(index=["model", "language"], columns="block", values="value").dropna(axis=1)


def _beside(p: Published, m: Measured, claim: Claim, deployment: str) -> Iterator[Row]:
    reason = _why_not(p, m, [deployment], claim.metric, claim.model, claim.language)
    if reason:
        yield {"reason": reason}
        return
    for load in _loads(m, claim.metric):
        place = {"workload": ALL if load == "*" else load}
        own, short = (_own(p, points, deployment, claim, load) for points in (m.points, m.short))
        measured = _measured(own, claim.metric)
        if measured is None or len(short):
            yield place | {"reason": "early-stop" if len(short) else "not-measured"}
        else:
            yield place | measured | _verdict(claim.exact[0], claim.rounding, measured)


def _measured(own: pd.DataFrame, metric: str) -> Row | None:
    """Mean over lives with its interval; of a share the interval that its requests allow."""
    cells = _cells(own)
    if not cells.size:
        return None
    if not is_share(metric):
        found = mean_over_lives(block_means(cells.to_numpy(dtype=np.float64), plain=False))
        return {k: found[k] for k in ("value", "low", "high")} | {"lives": cells.shape[1]}
    lives = own[own["block"].isin(cells.columns)]
    low, high = share_interval(lives, LEVEL)
    known = {"low": low, "high": high} if cells.shape[1] > 1 else {"low": None, "high": None}
    return {"value": float(np.average(lives["value"], weights=lives["n"])), **known, "lives": cells.shape[1]}


def _ratio_beside(p: Published, m: Measured, stated: RatioClaim, a: str, b: str) -> Iterator[Row]:
    reason = _why_not(p, m, [a, b], stated.metric, ALL, stated.language)
    if not reason and "memory" in stated.metric and p.engines[stated.of].memory != p.engines[stated.to].memory:
        reason = "reserved-against-used"
    if not reason and _types(m, a) != _types(m, b):
        reason = "other-weights"
    if reason:
        yield {"reason": reason}
        return
    for load in _loads(m, stated.metric):
        place = {"workload": ALL if load == "*" else load}
        if any(len(_own(p, m.short, d, stated, load)) for d in (a, b)):
            yield place | {"reason": "early-stop"}
            continue
        means = [_cells(_own(p, m.points, d, stated, load)).map(np.log).mean().map(np.exp) for d in (a, b)]
        measured = ratio([means[0]], [means[1]])
        yield place | measured | _verdict(stated.ratio, stated.rounding, measured)


def _types(m: Measured, deployment: str) -> dict[str, str]:
    d = m.study.deployments[deployment]
    return {name: d.weights or m.study.models[name].weights for name in d.models}


def _verdict(claimed: float, rounding: float, measured: Mapping[str, Any]) -> Row:
    """Agrees where the claim, as exact as it was printed, reaches into the interval."""
    low, high = measured["low"], measured["high"]
    if low is None:
        return {"verdict": "not-comparable", "reason": "not-measured" if measured["value"] is None else "one-life"}
    agrees = low <= claimed + rounding and claimed - rounding <= high
    return {"verdict": "agrees" if agrees else "differs", "reason": None}


def _recommendation_beside(p: Published, m: Measured, use_case: str, engines: str) -> Row:
    own = [r for r in rows(m.recommendations) if r["use_case"] == use_case]
    winners = sorted({r["winner"] for r in own if r["winner"] is not None})
    if not all(p.accelerator in a for a in m.accelerators.values()):
        return {"reason": "other-hardware"}
    if not winners:
        return {"reason": "not-decided" if own else "not-measured"}
    found = {m.study.deployments[w].engine for w in winners}
    verdict = "agrees" if found <= set(engines.split(" or ")) else "differs"
    return {"measured_name": ",".join(winners), "verdict": verdict, "reason": None}
