"""Recommendations by use case: a rule over facts that shows its numbers, what would change it, and can abstain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.collect import whole_weights
from serving_study.analysis.cube import Cube, Floats, cube
from serving_study.analysis.families import ALPHA, holm
from serving_study.analysis.mix import mix_rows
from serving_study.analysis.ratios import Ratio, overall
from serving_study.analysis.verdicts import LIVES_FOR_HEADLINE, lives_to_show
from serving_study.study.types import Study, UseCase

ALL = "all"


@dataclass(frozen=True, slots=True)
class Contest:
    """One use case among deployments with the same weights, before the claims of all use cases are weighed together."""

    use_case: str
    weights: str
    candidates: tuple[str, ...]
    excluded: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    next_step: str | None = None
    leader: str | None = None
    runner_up: str | None = None
    ratio: Ratio | None = None
    """Leader against its closest rival (the one with the largest p-value)."""
    p: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    """Metric to its log-ratio of leader against runner-up, above 0 where the leader is better."""


def recommendation_rows(
    study: Study, points: pd.DataFrame, capacity: pd.DataFrame, short: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """Rows of ``answers.RECOMMENDATIONS``. Use cases are a family of their own: Holm over them, 5 % in all.

    ``points`` may be compared; ``short`` are those that may not, because answers stopped early.
    """
    early = points.iloc[:0] if short is None else short
    contests = [c for name in study.use_cases for c in _contests(study, name, points, early, capacity)]
    p = np.array([np.nan if c.p is None else c.p for c in contests])
    if not len(p):
        return []
    each = holm(p, ALPHA)
    return [
        _row(study, c, float(each.adjusted[i]), bool(each.holds[i]), float(each.local[i]), float(each.last))
        for i, c in enumerate(contests)
    ]


def score_rows(study: Study, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``answers.SCORES``: every metric of a use case for every deployment that serves its models.

    Each number is over the models and loads of the use case, in the cells that all those deployments have a value in.
    """
    for name, case in study.use_cases.items():
        models = _models(study, case)
        own = points[
            points["deployment"].isin([d for d, spec in study.deployments.items() if models <= set(spec.models)])
        ]
        for metric, weight in case.weights.items():
            shared = _shared(_of_case(study, case, own[own["metric"] == metric]))
            for row in mix_rows(shared):
                if row["workload"] == ALL:
                    kept = {k: row[k] for k in _SCORE}
                    yield {"use_case": name, "weight": weight, **kept}


_SCORE = ("metric", "deployment", "value", "low", "high", "level", "unit", "lives")


def _models(study: Study, case: UseCase) -> set[str]:
    return set(case.models or study.models)


def _of_case(study: Study, case: UseCase, points: pd.DataFrame) -> pd.DataFrame:
    """Points of the models and loads of a use case; none where it needs a load on all models and there is none.

    What belongs to a whole life (memory) belongs to every model and load.
    """
    loads = _loads(study, case)
    if case.together and not loads:
        return points.iloc[:0]
    found = points[points["model"].isin(_models(study, case) | {"*"})]
    return found[found["workload"].isin([*loads, "*"])] if loads else found


def _shared(points: pd.DataFrame) -> pd.DataFrame:
    """Points in cells that every deployment of ``points`` has a value in."""
    points = points[points["value"].notna()]
    count = points.groupby(["model", "language", "workload"])["deployment"].transform("nunique")
    return points[count == points["deployment"].nunique()]


def _contests(
    study: Study, name: str, points: pd.DataFrame, short: pd.DataFrame, capacity: pd.DataFrame
) -> Iterator[Contest]:
    case = study.use_cases[name]
    models = _models(study, case)
    loads = _loads(study, case)
    points, short = (_of_case(study, case, found) for found in (points, short))
    groups: dict[str, list[str]] = {}
    for deployment, d in study.deployments.items():
        if models <= set(d.models):
            kinds = {m: d.weights or study.models[m].weights for m in models}
            groups.setdefault(whole_weights(kinds), []).append(deployment)
    for weights, deployments in sorted(groups.items()):
        excluded = {d: why for d in deployments if (why := _misses(case, d, loads, capacity)) is not None}
        candidates = tuple(d for d in deployments if d not in excluded)
        yield _contest(Contest(name, weights, candidates, excluded), case, deployments, loads, points, short)


def _loads(study: Study, case: UseCase) -> list[str]:
    """Loads that a use case is judged under; none named means all."""
    if case.workload is not None:
        return [case.workload]
    return [name for name, w in study.workloads.items() if w.together] if case.together else []


def _misses(case: UseCase, deployment: str, loads: list[str], capacity: pd.DataFrame) -> str | None:
    """Why a deployment is no candidate: its objective is missed, or not shown to be kept."""
    if case.slo is None:
        return None
    own = capacity[(capacity["slo"] == case.slo) & (capacity["deployment"] == deployment)]
    if loads:
        own = own[own["workload"].isin(loads)]
    if (own["verdict"] == "missed").any():
        return "slo-missed"
    return None if len(own) and (own["verdict"] == "kept").all() else "slo-undecided"


def _contest(
    c: Contest, case: UseCase, deployments: list[str], loads: list[str], points: pd.DataFrame, short: pd.DataFrame
) -> Contest:
    """Weigh the candidates, or say why they cannot be."""

    def undecided(reason: str, next_step: str) -> Contest:
        return Contest(c.use_case, c.weights, c.candidates, c.excluded, reason, next_step)

    if len(deployments) < 2:
        return undecided("no-rival", "add-deployment")
    if case.together and not loads:
        return undecided("not-measured", "load-together")
    if "slo-undecided" in c.excluded.values():
        return undecided("slo-undecided", "more-lives")
    if not c.candidates:
        return undecided("none-keeps-slo", "less-load")
    if len(c.candidates) == 1:
        return Contest(c.use_case, c.weights, c.candidates, c.excluded, "only-one-keeps-slo", leader=c.candidates[0])
    found = points[points["deployment"].isin(c.candidates)]
    for metric in case.weights:
        have = found[(found["metric"] == metric) & (found["value"] > 0)]
        lacking = set(c.candidates) - set(have["deployment"])
        if lacking & set(short[short["metric"] == metric]["deployment"]):
            return undecided("early-stop", "equal-lengths")
        if lacking:
            return undecided("not-measured", f"measure:{metric}")
        if len(set(have["reserves"])) > 1 and "memory" in metric:
            return undecided("reserved-against-used", "engine-tells")
    directions = {str(m): b for m, b in found.groupby("metric")["better"].first().items()}
    return _weigh(c, case, cube(found, directions, list(case.weights)))


def _weigh(c: Contest, case: UseCase, values: Cube) -> Contest:
    names = values.deployments
    weights = np.array([case.weights[m] for m in values.metrics], dtype=np.float64) * values.sign
    ratios = {
        (a, b): overall(_scores(values.y[a] - values.y[b], weights, values), np.arange(values.group.max() + 1))
        for a in range(len(names))
        for b in range(len(names))
        if a != b
    }
    lives = min(float(r.lives) for r in ratios.values())
    if lives < LIVES_FOR_HEADLINE:
        reason = "one-life" if lives < 2 else "few-lives"
        return Contest(c.use_case, c.weights, c.candidates, c.excluded, reason, "more-lives")
    ahead = [a for a in range(len(names)) if all(ratios[a, b].est > 0 for b in range(len(names)) if b != a)]
    if not ahead:
        return Contest(c.use_case, c.weights, c.candidates, c.excluded, "no-clear-winner", "more-lives", p=1.0)
    leader = ahead[0]
    rivals = [b for b in range(len(names)) if b != leader]
    closest = max(rivals, key=lambda b: float(ratios[leader, b].p))
    with np.errstate(invalid="ignore"):
        cells = np.nanmean(values.y[leader] - values.y[closest], axis=(-1, -2)) * values.sign
    return Contest(
        c.use_case, c.weights, c.candidates, c.excluded,
        leader=names[leader], runner_up=names[closest], ratio=ratios[leader, closest],
        p=float(ratios[leader, closest].p), parts=dict(zip(values.metrics, cells.tolist(), strict=True)),
    )  # fmt: skip


def _scores(d: Floats, weights: Floats, values: Cube) -> Floats:
    """Weighted sum of log-ratios: (group of lives, block), each metric's cells with equal weight.

    A metric that a group lacks (memory of another language, say) leaves that group's block out.
    """
    groups = int(values.group.max()) + 1
    scores = np.zeros((groups, d.shape[-1]))
    for m, weight in enumerate(weights / np.abs(weights).sum()):
        measured = ~np.isnan(d[m]).all(-1)
        for g in range(groups):
            here = d[m, (values.group == g) & measured]
            scores[g] += weight * (here.mean(axis=0) if len(here) else np.nan)
    return scores


def _row(study: Study, c: Contest, p_holm: float, holds: bool, local: float, last: float) -> dict[str, Any]:
    case = study.use_cases[c.use_case]
    r = c.ratio
    won = c.reason == "only-one-keeps-slo" or (holds and c.leader is not None)
    half = float(r.half_width(local)) if r is not None else np.nan
    est = float(r.est) if r is not None else np.nan
    flip_metric, flip_weight = _flip(case, c)
    needed = None if r is None or won else lives_to_show(r, (), last, LIVES_FOR_HEADLINE)
    return {
        "use_case": c.use_case,
        "weights": c.weights,
        "slo": case.slo or "",
        "workload": case.workload or ALL,
        "verdict": "recommended" if won else "not-decided",
        "winner": c.leader if won else None,
        "leader": c.leader,
        "runner_up": c.runner_up,
        "score": np.exp(est),
        "low": np.exp(est - half),
        "high": np.exp(est + half),
        "level": 1 - local,
        "p_holm": p_holm,
        "lives": 0 if r is None else int(r.lives),
        "candidates": ",".join(c.candidates),
        "excluded": ",".join(f"{d}:{why}" for d, why in sorted(c.excluded.items())),
        "flip_metric": flip_metric,
        "flip_weight": flip_weight,
        "reason": c.reason if c.reason or won else "no-clear-winner",
        "next_step": None if won else c.next_step or "more-lives",
        "next_lives": needed,
    }


def _flip(case: UseCase, c: Contest) -> tuple[str | None, float | None]:
    """The metric, and its weight, at which the runner-up draws level by the smallest change of one weight."""
    lead = sum(case.weights[m] * part for m, part in c.parts.items())
    levels = {m: case.weights[m] - lead / part for m, part in c.parts.items() if abs(part) > 1e-9}
    # a weight of nothing is no other weight: the case would ask for something else
    possible = {m: w for m, w in levels.items() if w > 1e-9}
    if not possible:
        return None, None
    metric = min(possible, key=lambda m: abs(possible[m] - case.weights[m]))
    return metric, possible[metric]
