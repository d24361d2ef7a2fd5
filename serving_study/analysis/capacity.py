"""Which load a deployment carries while every model and language of the mix keeps an objective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from serving_study.analysis.estimates import LEVEL, mean_over_lives
from serving_study.study.types import Study

CELL = ["model", "language"]


@dataclass(frozen=True, slots=True)
class Users:
    """The answer for one deployment and objective, in concurrent users."""

    kept: int
    """Most users at which every cell kept the objective; 0 if it was missed at the least load."""
    missed: int | None
    """Fewest users at which a cell missed it; None when no load was too much."""
    undecided: bool
    """A load between was neither kept nor missed."""
    whole: bool
    """Every model and language was judged under those loads that were not decided."""
    lives: int


def capacity_rows(study: Study, points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``answers.CAPACITY``; ``points`` may be compared."""
    for slo, objective in study.slos.items():
        attained = points[(points["metric"] == f"attainment_{slo}") & points["value"].notna()]
        for (deployment, workload), own in attained.groupby(["deployment", "workload"], sort=True):
            load = study.workloads[str(workload)]
            yield {
                "slo": slo,
                "deployment": deployment,
                "workload": workload,
                "load": load.concurrency if load.concurrency is not None else load.rate,
                "unit": "request" if load.concurrency is not None else "1/s",
                "target": objective.attainment,
                "level": LEVEL,
                **_worst(own, objective.attainment, _cells(study, str(deployment))),
            }


def _cells(study: Study, deployment: str) -> int:
    """Models x languages of a deployment's mix."""
    return len(study.deployments[deployment].models) * len(study.languages)


def _worst(own: pd.DataFrame, target: float, of: int) -> dict[str, Any]:
    cells = []
    groups = own.groupby(CELL, sort=True)
    for (model, language), lives in groups:
        low, high = share_interval(lives, LEVEL)[0], share_interval(lives, 1 - (1 - LEVEL) / len(groups))[1]
        mean = float(lives["value"].mean())
        cells.append((mean, low, high, model, language, len(lives)))
    lives_least = min(c[5] for c in cells)
    missed = [c for c in cells if c[2] < target]
    # a cell that was left out may be the one that misses
    kept = len(cells) == of and all(c[1] >= target for c in cells) and lives_least > 1
    mean, low, high, model, language, _ = min(missed or cells)
    return {
        "attainment": mean,
        "low": low,
        "high": high,
        "model": model,
        "language": language,
        "cells": len(cells),
        "lives": lives_least,
        "verdict": "missed" if missed and lives_least > 1 else "kept" if kept else "undecided",
    }


def share_interval(lives: pd.DataFrame, level: float) -> tuple[float, float]:
    """Interval of a share that is wide enough for the lives' differences and for the number of requests."""
    values = lives["value"].to_numpy(float)
    n = int(lives["n"].sum())
    k = round(float((lives["value"] * lives["n"]).sum()))
    low = float(stats.beta.ppf((1 - level) / 2, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf((1 + level) / 2, k + 1, n - k)) if k < n else 1.0
    between = mean_over_lives(values, plain=True, share=True, level=level)
    if between["low"] is not None:
        low, high = min(low, between["low"]), max(high, between["high"])
    return low, high


def users(study: Study, capacity: pd.DataFrame, slo: str, deployment: str) -> Users | None:
    """How many concurrent users keep an objective; None when it was not measured in a closed loop."""
    of = _cells(study, deployment)
    own = capacity[(capacity["slo"] == slo) & (capacity["deployment"] == deployment) & (capacity["unit"] == "request")]
    if own.empty:
        return None
    missed = own.loc[own["verdict"] == "missed", "load"].min()
    below = own[~(own["load"] >= missed)] if pd.notna(missed) else own
    kept = below.loc[below["verdict"] == "kept", "load"].max()
    undecided = below[below["verdict"] == "undecided"]
    if pd.notna(kept):
        undecided = undecided[undecided["load"] > kept]
    return Users(
        kept=int(kept) if pd.notna(kept) else 0,
        missed=int(missed) if pd.notna(missed) else None,
        undecided=not undecided.empty,
        whole=bool((undecided["cells"] == of).all()),
        lives=int(own["lives"].min()),
    )
