"""Time loading on demand: first token cold, warm and on a swap, unloading, and the memory that comes back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import structlog

from serving_study import engines
from serving_study.files import write_json
from serving_study.serving.deployment import Running, started
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.plans import DeploymentPlan, deployment_plan
from serving_study.telemetry.processes import tree_memory

TOKENS = 4
log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A deployment of a study, how often, and where the record goes."""
    parser.add_argument("study", help="name of a file in config/studies/, or its path")
    parser.add_argument("deployment", help="one that loads models on demand")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write; times in ns, memory in bytes")


def run(args: argparse.Namespace) -> None:
    """Write the record: once with all models held, once with one at a time."""
    path = Path(args.study) if args.study.endswith(".yaml") else Path("config/studies") / f"{args.study}.yaml"
    study = read(path, engines.names())
    if args.deployment not in study.deployments:
        raise StudyError(
            f"{path}: deployments.{args.deployment}: there is none; name one of {', '.join(study.deployments)}"
        )
    plan = deployment_plan(study, args.deployment)
    record: dict[str, Any] = {"study": study.name, "deployment": plan.name, "rounds": args.rounds, "held": {}}
    for held in (1, len(plan.deployment.models)):
        asked = plan.model_copy(update={"deployment": plan.deployment.model_copy(update={"max_loaded": held})})
        record["held"][str(held)] = _profile(asked, args.out.parent / f"servers-held-{held}", args.rounds)
    write_json(args.out, record)


def _profile(plan: DeploymentPlan, logs: Path, rounds: int) -> dict[str, Any]:
    with started(plan, logs) as running:
        try:
            found = [*_alone(running, rounds), *_swaps(running, rounds)]
        except NotImplementedError as reason:
            raise StudyError(
                f"{plan.name}: {reason or 'its models are fixed at start'}. Next: name another one"
            ) from None
    return {"versions": running.versions(), "readings": found}


def _alone(running: Running, rounds: int) -> Iterator[dict[str, Any]]:
    """Each model by itself: unloaded, asked cold, asked warm, unloaded again."""
    for model in running.models:
        server = running.server_of(model)
        for _ in range(rounds):
            for other in running.models:
                running.engine.unload_model(server, running.models[other])
            empty = _memory(running, model)
            cold = _first_token(running, model)
            warm = _first_token(running, model)
            loaded = _memory(running, model)
            begun = time.monotonic_ns()
            running.engine.unload_model(server, running.models[model])
            unload = time.monotonic_ns() - begun
            yield {
                "model": model,
                "cold_ttft": cold,
                "warm_ttft": warm,
                "unload": unload,
                "memory_empty": empty,
                "memory_loaded": loaded,
                "memory_unloaded": _memory(running, model),
            }


def _swaps(running: Running, rounds: int) -> Iterator[dict[str, Any]]:
    """All models in turn: with one held, each question evicts the model before it."""
    for model in list(running.models) * rounds:
        yield {"model": model, "turn_ttft": _first_token(running, model), "memory": _memory(running, model)}


def _memory(running: Running, model: str) -> int | None:
    pid = running.server_of(model).pid
    return None if pid is None else tree_memory(pid)


def _first_token(running: Running, model: str) -> int:
    """From sending to the first line of the answer's body that says something."""
    question = running.ask(model, f"{time.monotonic_ns()} Hello", TOKENS, running.plan.seed)
    begun = time.monotonic_ns()
    url = running.server_of(model).url + question.path
    with requests.post(url, json=dict(question.body), stream=True, timeout=300) as answer:
        answer.raise_for_status()
        first = next(line for line in answer.iter_lines(chunk_size=1) if line and not line.startswith(b":"))
        taken = time.monotonic_ns() - begun
        log.info("asked", model=model, milliseconds=round(taken / 1e6), said=first[:40].decode(errors="replace"))
        for _ in answer.iter_lines():
            pass
    return taken
