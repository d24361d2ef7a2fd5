"""Studies of known truth: points in the tables' long format, whole result folders, and many studies at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from serving_study.analysis.cube import Cube

UNITS = {
    "output_throughput": "token/s",
    "ttft_p50": "ns",
    "tpot_p50": "ns",
    "e2e_p50": "ns",
    "e2e_p99": "ns",
    "memory_peak": "byte",
}
LEVELS = {
    "output_throughput": 100.0,
    "ttft_p50": 80e6,
    "tpot_p50": 12e6,
    "e2e_p50": 400e6,
    "e2e_p99": 700e6,
    "memory_peak": 900e6,
}
HIGHER = ("output_throughput",)


@dataclass(frozen=True)
class Truth:
    """What is true of a made-up study. Effects are factors on speed: 1.2 is 20 % more throughput and lower latency."""

    deployments: tuple[str, ...] = ("one-slot", "four-slots")
    models: tuple[str, ...] = ("smollm2-135m", "gemma3-270m")
    languages: tuple[str, ...] = ("en", "zh", "ko")
    workloads: tuple[str, ...] = ("c1", "c4")
    metrics: tuple[str, ...] = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "e2e_p99")
    replicates: int = 5
    effects: Mapping[str, float] = field(default_factory=dict)
    """Deployment to factor; 1 where it is not named."""
    cv_life: float = 0.025
    cv_point: float = 0.015
    cv_block: float = 0.05
    noisier: Mapping[str, float] = field(default_factory=dict)
    """Deployment to a factor on its noise."""
    noisy_cell: float = 1.0
    """Factor on the noise of the first cell."""
    life_is: str = "language"
    """``language``: a life per deployment, language and block; ``block``: one life for all languages of a block."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Deployment to type of weights; Q4_1 where it is not named."""
    requests: int = 12


def logs(truth: Truth, rng: np.random.Generator, studies: int = 1) -> np.ndarray:
    """Logarithms of values: (study, deployment, metric, model, language, workload, block)."""
    e, m, k = len(truth.deployments), len(truth.models), len(truth.metrics)
    g, w, r = len(truth.languages), len(truth.workloads), truth.replicates
    noise = np.array([truth.noisier.get(d, 1.0) for d in truth.deployments]).reshape(1, e, 1, 1, 1, 1, 1)
    lives = g if truth.life_is == "language" else 1
    effect = np.log([truth.effects.get(d, 1.0) for d in truth.deployments])
    sign = np.array([1 if metric in HIGHER else -1 for metric in truth.metrics])
    level = np.log([LEVELS[metric] for metric in truth.metrics])
    # levels of cells are the same in every study, so that two studies can be held against each other
    cells = np.random.default_rng(7).normal(0, 0.5, (1, 1, k, m, g, w, 1))
    block = rng.normal(0, truth.cv_block, (studies, 1, k, 1, 1, 1, r))
    life = rng.normal(0, truth.cv_life, (studies, e, k, 1, lives, 1, r))
    point = rng.normal(0, truth.cv_point, (studies, e, k, m, g, w, r))
    noisy = np.ones((1, 1, 1, m, g, w, 1))
    noisy[..., 0, 0, 0, :] = truth.noisy_cell
    return (
        (effect[:, None] * sign).reshape(1, e, k, 1, 1, 1, 1)
        + level.reshape(1, 1, k, 1, 1, 1, 1)
        + cells
        + block
        + noise * noisy * (life + point)
    )


def cubes(truth: Truth, studies: int, seed: int) -> Cube:
    """Many studies in one cube: its leading axis counts them."""
    y = logs(truth, np.random.default_rng(seed), studies)
    cells = list(product(truth.models, truth.languages, truth.workloads))
    y = y.reshape(*y.shape[:3], len(cells), truth.replicates)
    kinds = [truth.weights.get(d, "Q4_1") for d in truth.deployments]
    names, number = np.unique(kinds, return_inverse=True)
    per_language = np.array([truth.languages.index(c[1]) for c in cells])
    return Cube(
        y=y,
        deployments=truth.deployments,
        metrics=truth.metrics,
        cells=tuple(cells),
        blocks=tuple(f"r{b + 1:02}" for b in range(truth.replicates)),
        sign=np.array([1 if m in HIGHER else -1 for m in truth.metrics]),
        pool=np.array([truth.workloads.index(c[2]) for c in cells]),
        group=per_language if truth.life_is == "language" else np.zeros(len(cells), dtype=int),
        weights=np.repeat(number[:, None], len(cells), axis=1),
        overall=number.astype(int),
        weight_names=tuple(names),
    )


def points(truth: Truth, seed: int = 1) -> pd.DataFrame:
    """One study's points in the long format of ``tables.POINTS``, in a drawn order of rows."""
    rng = np.random.default_rng(seed)
    y = np.exp(logs(truth, rng))[0]
    rows = []
    for (e, d), (k, metric), (m, model), (g, lang), (w, load), b in product(
        enumerate(truth.deployments),
        enumerate(truth.metrics),
        enumerate(truth.models),
        enumerate(truth.languages),
        enumerate(truth.workloads),
        range(truth.replicates),
    ):
        life = f"{d}-{lang if truth.life_is == 'language' else 'all'}-r{b + 1:02}"
        rows.append(
            {
                "study": "made-up",
                "deployment": d,
                "engine": "llamacpp",
                "language": lang,
                "replicate": b + 1,
                "life": life,
                "block": f"r{b + 1:02}",
                "host": "a-host",
                "model": model,
                "workload": load,
                "metric": metric,
                "value": y[e, k, m, g, w, b],
                "unit": UNITS[metric],
                "better": "higher" if metric in HIGHER else "lower",
                "reason": None,
                "n": truth.requests,
                "needs": 662 if metric.endswith("p99") else 11,
                "codes": "",
                "fatal": False,
                "weights": truth.weights.get(d, "Q4_1"),
                "reserves": False,
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)
