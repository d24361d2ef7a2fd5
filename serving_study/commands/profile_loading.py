"""Time loading on demand: first token cold, warm and on a swap, unloading, and the memory that comes back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import structlog

from serving_study.files import write_json
from serving_study.serving.control import headers
from serving_study.serving.deployment import Running, started
from serving_study.study.errors import StudyError
from serving_study.study.plans import LoadingPlan
from serving_study.telemetry.host import making
from serving_study.telemetry.processes import tree_memory

TOKENS = 4
HELD = (1, 2)
"""Models that the server may hold at once: with one, each change of model is a swap."""
log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan and where the record goes."""
    parser.add_argument("plan", type=LoadingPlan.model_validate_json)
    parser.add_argument("--code", default="")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write; times in ns, memory in bytes")


def run(args: argparse.Namespace) -> None:
    """Write ``loading.json``: a life with one model held at a time, and one with two."""
    plan: LoadingPlan = args.plan
    held = {}
    for most in HELD[: len(plan.deployment.models)]:
        asked = plan.model_copy(update={"deployment": plan.deployment.model_copy(update={"max_loaded": most})})
        held[str(most)] = _profile(asked, args.out.parent / f"servers-loading-{most}")
    record = {"study": plan.study, "deployment": plan.name, "code": args.code, **making(), "rounds": plan.rounds}
    write_json(args.out, {**record, "life": ",".join(each["life"] for each in held.values()), "held": held})


def _profile(plan: LoadingPlan, logs: Path) -> dict[str, Any]:
    with started(plan, logs) as running:
        try:
            found = [*_alone(running, plan.rounds), *_swaps(running, plan.rounds)]
        except NotImplementedError as reason:
            raise StudyError(
                f"loading: {plan.name}: {reason or 'its models are fixed at start'}. Next: name another one"
            ) from None
    return {"life": running.life.id, "readings": found}


def _alone(running: Running, rounds: int) -> Iterator[dict[str, Any]]:
    """Each model by itself: unloaded, asked cold, asked warm, unloaded again."""
    for model in running.models:
        server = running.server_of(model)
        for _ in range(rounds):
            for other in running.models:
                running.engine.unload_model(running.server_of(other), running.models[other])
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
    server = running.server_of(model)
    url = server.url + question.path
    with requests.post(url, json=dict(question.body), headers=headers(server), stream=True, timeout=300) as answer:
        answer.raise_for_status()
        first = next(line for line in answer.iter_lines(chunk_size=1) if line and not line.startswith(b":"))
        taken = time.monotonic_ns() - begun
        log.info("asked", model=model, milliseconds=round(taken / 1e6), said=first[:40].decode(errors="replace"))
        for _ in answer.iter_lines():
            pass
    return taken
