"""Find how many requests each model of a deployment needs until it is steady."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import structlog

from serving_study.files import write_json
from serving_study.load.point import run_point
from serving_study.serving.deployment import Running, started
from serving_study.serving.questions import Draw, point_requests
from serving_study.study.errors import StudyError
from serving_study.study.plans import WarmupPlan
from serving_study.study.prompts import load
from serving_study.study.types import Workload
from serving_study.telemetry.host import making

log = structlog.get_logger()

TOKENS = 16
NEAR = 0.10
"""A request is steady when it takes within this share of the median of the later half."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the warm-up prompts and where the record goes."""
    parser.add_argument("plan", type=WarmupPlan.model_validate_json)
    parser.add_argument("--code", default="")
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def steady_after(durations: Sequence[int]) -> int | None:
    """How many requests pass before the first two in a row that are as fast as the later half; None: not steady yet.

    ``durations`` are of equal requests, in ns, in the order they were sent.
    """
    later = statistics.median(durations[len(durations) // 2 :])
    near = [d <= later * (1 + NEAR) for d in durations]
    return next((i for i in range(len(near) - 1) if near[i] and near[i + 1]), None)


def run(args: argparse.Namespace) -> None:
    """Write ``warmup.json``: for each model the number of requests, and every duration that it was found from."""
    plan: WarmupPlan = args.plan
    with started(plan, args.out.parent / "servers-warmup") as running:
        curves = {model: _curve(running, model, plan, args.prompts) for model in plan.models}
        life = running.life.id
    models = {}
    for model, curve in curves.items():
        steady = steady_after(curve)
        models[model] = {
            "requests": plan.warmup_requests if steady is None else max(steady, 1),
            "steady": steady is not None,
            "durations_ns": curve,
        }
        log.info("warm-up", deployment=plan.name, model=model, requests=models[model]["requests"])
    record = {
        "study": plan.study,
        "deployment": plan.name,
        "life": life,
        "code": args.code,
        **making(),
        "tokens": TOKENS,
    }
    write_json(args.out, {**record, "models": models})


def _curve(running: Running, model: str, plan: WarmupPlan, prompts: Path) -> list[int]:
    """Durations of equal requests (one prompt, a new nonce each), one after the other, in ns."""
    server = running.server_of(model)
    work = Workload(concurrency=1, requests=plan.warmup_requests, max_tokens=TOKENS)
    planned = point_requests("warmup", work, running.targets([model]), load(prompts)[:1], Draw(plan.seed, "en", 0))
    recording = run_point(planned, concurrency=1, key=running.key)
    failed = {outcome: n for outcome, n in recording.outcomes().items() if outcome != "complete"}
    if failed:
        raise StudyError(
            f"server {server.spec.name}: warm-up requests of {model} failed: {failed}; its log is {server.log}"
        )
    return [end - sent for end, sent in zip(recording.ended, recording.sent, strict=True)]
