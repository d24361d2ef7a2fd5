"""Result folders of made-up studies: the files that measuring and deriving leave, and tables and facts from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from serving_study import engines
from serving_study.__main__ import main
from serving_study.analysis.estimates import is_share
from serving_study.metrics.validity import fatal
from serving_study.serving.containers import quick_start
from serving_study.study.types import Study
from tests.analysis.synthetic import Truth, points

START_NS = 1_790_000_000 * 10**9
HOST = {
    "name": "a-host",
    "system": "Linux 6.12",
    "processor": "A Processor 9",
    "cores": 2,
    "memory_bytes": 8_000_000_000,
    "accelerators": ["NVIDIA GeForce RTX 5090"],
    "python": "3.11.2",
}
QUICKSTART = Truth(
    metrics=("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "e2e_p99", "memory_peak"),
    replicates=3,
    effects={"four-slots": 1.3},
)
ENGINES = ("vllm", "sglang", "ollama")
"""A deployment of such a name is one of this engine, others are of llama.cpp."""
RESERVING = ("vllm", "sglang")
_OTHERS: tuple[tuple[str, float, str, int], ...] = (
    ("request_throughput", 4.0, "1/s", 1),
    ("character_throughput", 150.0, "character/s", 1),
    ("byte_throughput", 300.0, "byte/s", 1),
    ("ttft_p90", 160e6, "ns", 64),
    ("ttft_mean", 90e6, "ns", 1),
    ("inter_chunk_p50", 15e6, "ns", 11),
    ("success_rate", 1.0, "1", 1),
    ("early_stop_share", 0.25, "1", 1),
    ("attainment_interactive", 0.9, "1", 1),
    ("goodput_interactive", 3.5, "1/s", 1),
    ("output_tokens_mean", 24.0, "token", 1),
    ("prompt_tokens_mean", 60.0, "token", 1),
    ("cached_tokens_max", 0.0, "token", 1),
    ("tokens_per_character", 0.4, "token/character", 1),
    ("in_flight_mean", 2.5, "request", 1),
    ("drift", 0.01, "1", 1),
)


def study(truth: Truth = QUICKSTART, **changes: Any) -> Study:
    """The study file that such a truth belongs to."""
    content: dict[str, Any] = {
        "name": "made-up",
        "question": {"en": "What does continuous batching buy?", "ko": "연속 배칭으로 무엇을 얻는가?"},
        "seed": 1,
        "replicates": truth.replicates,
        "languages": list(truth.languages),
        "models": {m: model(m) for m in truth.models},
        "deployments": {
            d: {
                "engine": d if d in ENGINES else "llamacpp",
                "version": _locked(d) if d in ENGINES else "2026.10",
                "models": list(truth.models),
                "port": 18080 + 10 * i,
                "slots": 4 if d.startswith("four") else 1,
                "weights": truth.weights.get(d),
            }
            for i, d in enumerate(truth.deployments)
        },
        "workloads": {
            w: {
                "concurrency": int(w.lstrip("ct") or 1),
                "requests": truth.requests,
                "max_tokens": 24,
                "together": w.startswith("t"),
            }
            for w in truth.workloads
        },
        "slos": {"interactive": {"ttft_ms": 500, "tpot_ms": 50, "attainment": 0.9}},
    }
    return Study.model_validate({**content, **changes})


def _locked(engine: str) -> str:
    """A version of the engine that there is a lock for."""
    return next(Path("workflow/envs").glob(f"{engine}-*")).stem.removeprefix(f"{engine}-")


def model(name: str) -> dict[str, Any]:
    return {
        "source": {"path": f"models/{name}.gguf"},
        "sha256": "0" * 64,
        "license": "Apache-2.0",
        "parameters": 135_000_000,
        "weights": "Q4_1",
        "api": "chat",
    }


def write_runs(
    root: Path,
    truth: Truth = QUICKSTART,
    seed: int = 1,
    codes: Mapping[tuple[str, str, int], str] | None = None,
    host: str = "a-host",
    others: bool = True,
) -> Study:
    """Cells and deployments below ``root``, as measuring and ``derive`` leave them.

    ``codes``: (deployment, language, replicate) to a code of all its points.
    """
    s = study(truth)
    frame = points(truth, seed)
    if others:
        frame = pd.concat([frame, _other_metrics(truth, seed)], ignore_index=True)
    _whole_life(frame)
    cells = sorted(frame.groupby(["deployment", "language", "replicate"]), key=lambda x: x[0][2])
    for order, ((d, lang, r), of_cell) in enumerate(cells):
        code = (codes or {}).get((d, lang, r), "")
        folder = root / "cells" / d / lang / f"r{r:02}"
        folder.mkdir(parents=True)
        own = of_cell.drop(columns=["block", "host", "weights", "reserves"]).assign(
            codes=code, fatal=fatal({code: ""} if code else {}), reasons=json.dumps({code: "was seen"} if code else {})
        )
        own.drop_duplicates(["model", "workload", "metric"]).to_parquet(folder / "points.parquet", index=False)
        life = str(of_cell["life"].iloc[0])
        _requests(truth, d, lang, r, life).to_parquet(folder / "metrics.parquet", index=False)
        started = START_NS + order * 60 * 10**9
        cell = _cell(s, d, lang, r, life, started, host)
        (folder / "cell.json").write_text(json.dumps(cell))
    for d in truth.deployments:
        _deployment(root / "deployments" / d, s, d, truth)
    return s


def _whole_life(frame: pd.DataFrame) -> None:
    """Memory belongs to a whole life: no model, no workload."""
    whole = frame["metric"].str.startswith("memory")
    frame.loc[whole, ["model", "workload", "n", "needs"]] = ["*", "*", 1, 1]


def _other_metrics(truth: Truth, seed: int) -> pd.DataFrame:
    base = points(replace(truth, metrics=("output_throughput",)), seed + 1000)
    factor = base["value"] / base["value"].mean()
    frames = []
    for name, level, unit, needs in _OTHERS:
        value = np.minimum(level * factor, 1.0) if is_share(name) else level * factor
        value = value.where(base["n"] >= needs)
        frames.append(
            base.assign(
                metric=name,
                value=1.0 if name == "success_rate" else value,
                unit=unit,
                needs=needs,
                better="neither" if name == "drift" else "higher",
            )
        )
    return pd.concat(frames, ignore_index=True)


def _requests(truth: Truth, deployment: str, language: str, replicate: int, life: str) -> pd.DataFrame:
    rows = [
        {
            "request": number,
            "workload": w,
            "model": m,
            "language": language,
            "prompt": f"question-{i:02}",
            "ttft": 80_000_000 + i,
            "tpot": 12_000_000,
            "e2e": 400_000_000 + i,
            "output_tokens": 24 if i % 4 else 20,
            "max_tokens": 24,
            "prompt_tokens": 60,
            "prompt_chars": {"en": 112, "zh": 52, "ko": 72}.get(language, 112) + i,
            "output_chars": 60,
            "output_bytes": 120,
            "chunks": 20,
            "finish": "length" if i % 4 else "stop",
            "error": None,
            "measured": True,
            "text_language_ok": True,
        }
        for number, (w, m, i) in enumerate(product(truth.workloads, truth.models, range(truth.requests)))
    ]
    return pd.DataFrame(rows)


def _cell(
    s: Study, deployment: str, language: str, replicate: int, life: str, started: int, host: str
) -> dict[str, Any]:
    plan = {
        "study": s.name,
        "seed": s.seed,
        "name": deployment,
        "deployment": s.deployments[deployment].model_dump(mode="json"),
        "models": {m: s.models[m].model_dump(mode="json") for m in s.deployments[deployment].models},
        "language": language,
        "replicate": replicate,
        "workloads": {w: load.model_dump(mode="json") for w, load in s.workloads.items()},
    }
    return {
        "study": s.name,
        "deployment": deployment,
        "language": language,
        "replicate": replicate,
        "life": life,
        "plan": plan,
        "prompts_sha256": "0" * 64,
        "code": "0" * 12,
        "commit": "0" * 40,
        "command": ["python", "-m", "serving_study", "benchmark"],
        "servers": {"llamacpp": ["llama-server"]},
        "host": {**HOST, "name": host},
        "clock_start": {"monotonic_ns": started - START_NS, "utc_ns": started},
        "clock_end": {"monotonic_ns": started - START_NS + 30 * 10**9, "utc_ns": started + 30 * 10**9},
        "warmup_requests": dict.fromkeys(s.models, 3),
        "windows": [],
        "codes": {},
        "files": {},
    }


def _deployment(folder: Path, s: Study, name: str, truth: Truth) -> None:
    folder.mkdir(parents=True)
    d = s.deployments[name]
    plan = {
        "study": s.name,
        "seed": s.seed,
        "name": name,
        "deployment": d.model_dump(mode="json"),
        "models": {m: s.models[m].model_dump(mode="json") for m in d.models},
    }
    deploy = {
        "study": s.name,
        "deployment": name,
        "engine": d.engine,
        "title": "llama.cpp",
        "reserves": name in RESERVING,
        "plan": plan,
        "code": "0" * 12,
        "life": f"{name}-deploy",
        "host": HOST,
        "versions": {"llama.cpp": "b6500", "xllamacpp": "2026.10"},
        "models": {m: {"sha256": "0" * 64, "license": "Apache-2.0", "weights": "Q4_1"} for m in d.models},
        "servers": {m: ["llama-server", "-np", str(d.slots)] for m in d.models},
        "settings": [
            {"name": "slots", "asked": str(d.slots), "ran": str(d.slots), "source": "/props", "server": m}
            for m in d.models
        ]
        + [{"name": "kv_type", "asked": "auto", "ran": None, "source": "/props", "server": m} for m in d.models],
        "quick_start": quick_start(engines.load(d.engine), d, s.models, gpu=False),
        "ready_after_ns": {"server": 1_250_000_000},
        "idle_memory_bytes": dict.fromkeys(d.models, 200_000_000),
        "engine_memory_bytes": {m: {"weights": 98_000_000, "kv_capacity": 23_000_000 * d.slots} for m in d.models},
    }
    (folder / "deploy.json").write_text(json.dumps(deploy))
    curve = [900_000_000, 450_000_000, 401_000_000, 400_000_000, 402_000_000, 399_000_000]
    warm = {m: {"requests": 2, "steady": True, "durations_ns": curve} for m in d.models}
    (folder / "warmup.json").write_text(
        json.dumps(
            {"study": s.name, "deployment": name, "life": f"{name}-warm", "code": "", "tokens": 16, "models": warm}
        )
    )
    memory = [
        {"server": m, "stage": stage, "part": "pss", "value": value, "source": "kernel"}
        for m in d.models
        for stage, value in (("before", 0.0), ("idle", 200e6), ("c1", 210e6), ("peak", 230e6), ("stopped", 0.0))
    ]
    pd.DataFrame(memory).to_parquet(folder / "memory.parquet", index=False)


def aggregate(root: Path, s: Study) -> Path:
    """Run ``aggregate`` over ``root``, with the claims that the study names; the folder of the tables."""
    files = {
        "--points": "cells/*/*/*/points.parquet",
        "--metrics": "cells/*/*/*/metrics.parquet",
        "--cells": "cells/*/*/*/cell.json",
        "--deploys": "deployments/*/deploy.json",
        "--warmups": "deployments/*/warmup.json",
        "--memory": "deployments/*/memory.parquet",
        "--loading": "deployments/*/loading.json",
    }
    named = [part for option, pattern in files.items() for part in (option, *sorted(map(str, root.glob(pattern))))]
    claims = ["--claims", f"config/claims/{s.claims}.yaml"] if s.claims else []
    assert main(["aggregate", s.model_dump_json(), *named, *claims, "--out", str(root / "tables")]) == 0
    return root / "tables"


def facts_of(root: Path, s: Study) -> dict[str, dict[str, Any]]:
    """Facts of the runs below ``root`` by their ids."""
    assert (
        main(["facts", s.model_dump_json(), "--tables", str(aggregate(root, s)), "--out", str(root / "facts.json")])
        == 0
    )
    return {fact["id"]: fact for fact in json.loads((root / "facts.json").read_text())["facts"]}


def write_facts(root: Path, truth: Truth = QUICKSTART, seed: int = 1, **study_changes: Any) -> Path:
    """A whole made-up study below ``root``; the path of its ``facts.json``."""
    write_runs(root, truth, seed)
    facts_of(root, study(truth, **study_changes))
    return root / "facts.json"
