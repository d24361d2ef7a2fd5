"""Models that share a machine: slowdown under load together, against others idle and against being alone; fairness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.contrasts import Blocks, ratio
from serving_study.analysis.estimates import LEVEL, mean_over_lives
from serving_study.study.types import Deployment, Study, Workload

METRICS = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50")


def reference(study: Study, together: str, models: int) -> str | None:
    """The workload that asks of one model what ``together`` asks of each of ``models``: the same users or rate and requests.

    None where the study has no such workload, or where the load is no whole multiple.
    """
    whole = study.workloads[together]
    apart = {name: w for name, w in study.workloads.items() if not w.together}
    return next((name for name, w in apart.items() if _times(w, models) == whole), None)


def _times(work: Workload, models: int) -> Workload:
    """The load on ``models`` models together that puts ``work`` on each."""
    more = {
        "together": True,
        "requests": work.requests * models,
        "concurrency": work.concurrency and work.concurrency * models,
        "rate": work.rate and work.rate * models,
    }
    return work.model_copy(update=more)


def alone(study: Study, deployment: str, model: str) -> str | None:
    """A deployment that differs from ``deployment`` only in holding no other model than ``model``."""
    wanted = _of_one(study.deployments[deployment], model)
    return next(
        (
            name
            for name, d in study.deployments.items()
            if name != deployment and d.models == (model,) and _of_one(d, model) == wanted
        ),
        None,
    )


def _of_one(deployment: Deployment, model: str) -> dict[str, Any]:
    """What a deployment's settings are to one of its models; where it answers and what else it holds are left out."""
    found = deployment.model_dump(exclude={"port", "urls", "models", "max_loaded"})
    for by_model in ("memory_share", "model_options"):
        found[by_model] = found[by_model].get(model)
    return found


def interference_rows(study: Study, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.INTERFERENCE``; ``points`` are those that may be compared."""
    values = Blocks(points)
    for together in (name for name, w in study.workloads.items() if w.together):
        for deployment, d in study.deployments.items():
            apart = reference(study, together, len(d.models))
            if len(d.models) < 2 or apart is None:
                continue
            for language in study.languages:
                place = {"deployment": deployment, "language": language, "workload": together}
                for model in d.models:
                    yield from _of_model(study, values, place, model, apart)
                yield {**place, **_fairness(values, place, d.models, apart)}


def _of_model(study: Study, values: Blocks, place: dict[str, str], model: str, apart: str) -> Iterator[dict[str, Any]]:
    deployment, language, together = place["deployment"], place["language"], place["workload"]
    lone = alone(study, deployment, model)
    for metric in METRICS:
        shared = values.of(metric, deployment, model, language, together)
        rest = values.of(metric, deployment, model, language, apart)
        about = {**place, "metric": metric, "model": model}
        yield {**about, "against": "others-idle", "reference": apart, **ratio([shared], [rest])}
        if lone:
            away = values.of(metric, lone, model, language, apart)
            yield {**about, "against": "alone", "reference": lone, **ratio([shared], [away])}


def _fairness(values: Blocks, place: dict[str, str], models: tuple[str, ...], apart: str) -> dict[str, Any]:
    """Jain's index of each model's share of its throughput that is left: (sum x)^2 / (n sum x^2), in each block."""
    left = pd.concat(
        [
            values.of("output_throughput", place["deployment"], m, place["language"], place["workload"])
            / values.of("output_throughput", place["deployment"], m, place["language"], apart)
            for m in models
        ],
        axis=1,
        keys=models,
    ).dropna()
    x = left.to_numpy(float)
    index = x.sum(1) ** 2 / (len(models) * (x**2).sum(1)) if len(x) else np.empty(0)
    found = mean_over_lives(index, plain=True, share=True)
    return {
        "metric": "fairness",
        "model": "*",
        "against": "others-idle",
        "reference": apart,
        "value": found["value"],
        "low": found["low"],
        "high": found["high"],
        "level": LEVEL,
        "lives": len(index),
        "reason": found["reason"] if len(index) else "not-measured",
    }
