"""Print what a study will do before anything runs: cells, points, requests, expected duration."""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from serving_study import engines
from serving_study.available import unavailable
from serving_study.study.cells import cells, points
from serving_study.study.file import read
from serving_study.study.types import Model, Study, Workload

BANDWIDTH = {"cpu": 8e9, "gpu": 1e12}
"""Assumed bytes of weights that the hardware reads in a second for one stream: the guess before anything was measured."""
START_S = 20.0
"""Assumed seconds of starting, warming up and stopping in each life."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study."""
    parser.add_argument("study", help="name of a file in config/studies/, or its path")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Exit status 1 when a deployment cannot run here and the study does not skip it."""
    path = study_file(args.study)
    study = read(path, engines.checks())
    summary = summarise(study)
    print(json.dumps(summary, indent=2) if args.json else _words(study, summary))
    return 1 if summary["unavailable"] and not study.skip_unavailable else 0


def study_file(named: str) -> Path:
    """The file of a study that a command line names."""
    return Path(named) if named.endswith(".yaml") else Path("config/studies") / f"{named}.yaml"


def summarise(study: Study) -> dict[str, object]:
    """Counts of the study, the guess of its duration, and what cannot run on this machine."""
    per_cell = {d: points(study.workloads, spec.models, "") for d, spec in study.deployments.items()}
    cell_requests = {d: sum(study.workloads[p.workload].requests for p in drawn) for d, drawn in per_cell.items()}
    lives = study.replicates * len(study.languages)
    seconds, basis = _expected_s(study)
    return {
        "study": study.name,
        "deployments": {d: {"engine": s.engine, "models": s.models} for d, s in study.deployments.items()},
        "languages": study.languages,
        "replicates": study.replicates,
        "cells": len(cells(study)),
        "points": sum(len(p) for p in per_cell.values()) * lives,
        "requests": sum(cell_requests.values()) * lives,
        "expected_minutes": round(seconds / 60, 1),
        "expected_from": basis,
        "unavailable": unavailable(study),
    }


def _expected_s(study: Study) -> tuple[float, str]:
    """Seconds and where they come from: cells of this study that are measured already, else a guess."""
    took = []
    for file in Path(study.recorded or f"results/{study.name}").glob("cells/*/*/r*/cell.json"):
        cell = json.loads(file.read_text())
        took.append((cell["clock_end"]["monotonic_ns"] - cell["clock_start"]["monotonic_ns"]) / 1e9)
    if took:
        return statistics.median(took) * len(cells(study)), f"the median of {len(took)} measured cells"
    guess = sum(_guess_s(study, d.models) + START_S for d in study.deployments.values())
    once = guess * study.replicates * len(study.languages) + 3 * START_S * len(study.deployments)
    return once, "a guess from the models' sizes; measured cells make it better"


def _guess_s(study: Study, models: tuple[str, ...]) -> float:
    """One stream reads all weights for each token; several streams are guessed to share that."""

    def one(model: Model, work: Workload) -> float:
        token_s = model.parameters * 0.7 / BANDWIDTH[study.hardware]
        return work.requests * work.max_tokens * token_s

    return sum(one(study.models[m], w) for m in models for w in study.workloads.values())


def _words(study: Study, summary: dict[str, object]) -> str:
    unavailable = summary["unavailable"]
    assert isinstance(unavailable, dict)
    lines = [
        f"study {study.name}: {study.question.get('en', '')}",
        *(f"  {d}: {s.engine} {s.version}, {', '.join(s.models)}" for d, s in study.deployments.items()),
        f"  languages {', '.join(study.languages)}; workloads {', '.join(study.workloads)}; {study.replicates} replicates",
        f"  {summary['cells']} cells, {summary['points']} points, {summary['requests']} requests",
        f"  about {summary['expected_minutes']} minutes of measuring ({summary['expected_from']})",
    ]
    skipped = "left out (skip_unavailable)" if study.skip_unavailable else "CANNOT RUN HERE"
    lines += [f"  {name}: {skipped}: {reason}" for name, reason in unavailable.items()]
    return "\n".join(lines)
