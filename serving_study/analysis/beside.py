"""Published numbers beside what was measured: agrees, differs, or not comparable and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.contrasts import ratio
from serving_study.analysis.estimates import LEVEL, mean_over_lives
from serving_study.analysis.facts import rows
from serving_study.analysis.mix import block_means
from serving_study.analysis.published import ALL, Claim, Published, RatioClaim
from serving_study.study.types import Study

Row = dict[str, Any]
_EMPTY: Row = {
    "deployment": "",
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

    def of_engine(self, engine: str) -> list[str]:
        """Deployments of an engine."""
        return [name for name, d in self.study.deployments.items() if d.engine == engine]


def claim_rows(p: Published, m: Measured) -> Iterator[Row]:
    """Rows of ``answers.CLAIMS``: every claim, once for each deployment of its engine."""
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
            yield row | {"deployment": deployment} | _beside(p, m, claim, deployment)
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
            yield row | {"deployment": f"{a}/{b}" if a else ""} | _ratio_beside(p, m, stated, a, b)
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
    if not any(m.points["metric"] == metric):
        return "no-metric"
    if any(p.accelerator not in m.accelerators.get(d, "") for d in deployments):
        return "other-hardware"
    wanted = {model} if model != ALL else set(p.models)
    if any(wanted - set(m.study.deployments[d].models) for d in deployments):
        return "model-not-measured"
    languages = {language} if language != ALL else set(p.languages)
    return "language-not-measured" if languages - set(m.study.languages) else None


def _cells(p: Published, m: Measured, deployment: str, metric: str, model: str, language: str) -> pd.DataFrame:
    """Values of the claim's own models and languages: rows are cells, columns blocks that have them all."""
    found = m.points[(m.points["deployment"] == deployment) & (m.points["metric"] == metric)]
    found = found[found["model"].isin([model] if model != ALL else [*p.models, "*"])]
    found = found[found["language"].isin([language] if language != ALL else p.languages)]
    return found.pivot_table(index=["model", "language", "workload"], columns="block", values="value").dropna(axis=1)


def _beside(p: Published, m: Measured, claim: Claim, deployment: str) -> Row:
    about = (claim.metric, claim.model, claim.language)
    reason = "no-metric" if claim.metric == "requests" else _why_not(p, m, [deployment], *about)
    if reason:
        return {"reason": reason}
    cells = _cells(p, m, deployment, *about).to_numpy(dtype=np.float64)
    if not cells.size:
        return {"reason": "not-measured"}
    found = mean_over_lives(block_means(cells, plain=False))
    measured = {k: found[k] for k in ("value", "low", "high")} | {"lives": cells.shape[1]}
    return measured | _verdict(claim.exact[0], claim.rounding, measured)


def _ratio_beside(p: Published, m: Measured, stated: RatioClaim, a: str, b: str) -> Row:
    reason = _why_not(p, m, [a, b], stated.metric, ALL, stated.language)
    if not reason and "memory" in stated.metric and p.engines[stated.of].memory != p.engines[stated.to].memory:
        reason = "reserved-against-used"
    if not reason and _types(m, a) != _types(m, b):
        reason = "other-weights"
    if reason:
        return {"reason": reason}
    means = [_cells(p, m, d, stated.metric, ALL, stated.language).map(np.log).mean().map(np.exp) for d in (a, b)]
    measured = ratio([means[0]], [means[1]])
    return measured | _verdict(stated.ratio, stated.rounding, measured)


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
