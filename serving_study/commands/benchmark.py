"""Measure one cell: one life of a deployment, one language, every model and workload."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

import structlog

from serving_study.files import write_json
from serving_study.load.point import run_point
from serving_study.load.progress import position
from serving_study.load.record import Cell, Window
from serving_study.load.write import RawWriter
from serving_study.serving.deployment import Running, started
from serving_study.serving.questions import Draw, point_requests
from serving_study.study.cells import points
from serving_study.study.plans import CellPlan
from serving_study.study.prompts import Prompt, digest, load
from serving_study.study.types import Workload
from serving_study.telemetry.host import clock, host, making
from serving_study.telemetry.sampler import Sampler
from serving_study.telemetry.trouble import trouble

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the prompts and where the cell goes."""
    parser.add_argument("plan", type=CellPlan.model_validate_json)
    parser.add_argument("--code", default="")
    parser.add_argument("--warmup", type=Path, required=True)
    parser.add_argument("--warmup-prompts", type=Path, required=True)
    parser.add_argument("--prompts", type=Path, nargs="+", required=True)
    parser.add_argument("--cell", type=Path, required=True, help="cell.json; the raw files go beside it")


def run(args: argparse.Namespace) -> None:
    """Write the raw files and, last, ``cell.json`` with their hashes."""
    plan: CellPlan = args.plan
    folder: Path = args.cell.parent
    folder.mkdir(parents=True, exist_ok=True)
    prompts = load(args.prompts[0])
    warmups = {m: found["requests"] for m, found in json.loads(args.warmup.read_text())["models"].items()}
    clock_start = clock()
    with started(plan, folder / "servers") as running:
        _warm(running, plan, load(args.warmup_prompts), warmups)
        writer = RawWriter(folder)
        with Sampler(running.pids(), running.counter_readers()) as sampler:
            windows = _measure(running, plan, prompts, writer)
        hashes = {**writer.close(), "telemetry.parquet": sampler.write(folder / "telemetry.parquet")}
        servers = running.command_lines()
        life = running.life.id
    clock_end = clock()
    cell = Cell(
        study=plan.study,
        deployment=plan.name,
        language=plan.language,
        replicate=plan.replicate,
        life=life,
        plan=plan.model_dump(mode="json"),
        prompts_sha256=digest(args.prompts[0]),
        code=args.code,
        **making(),
        servers=servers,
        host=host(),
        clock_start=clock_start,
        clock_end=clock_end,
        warmup_requests=warmups,
        windows=tuple(windows),
        codes=trouble(clock_start, clock_end, folder / "telemetry.parquet"),
        files=hashes,
    )
    _progress(cell, folder.parents[2])
    write_json(args.cell, cell.model_dump(mode="json"))


def _warm(running: Running, plan: CellPlan, prompts: tuple[Prompt, ...], requests: Mapping[str, int]) -> None:
    """The requests that each model needs until it is steady, under the highest load of the study, never recorded."""
    highest = max(plan.workloads.values(), key=lambda w: w.concurrency or 0)
    users = highest.concurrency or 1
    for model, n in requests.items():
        work = Workload(concurrency=users, requests=max(n, users), max_tokens=highest.max_tokens)
        draw = Draw(plan.seed, "en", 0)
        run_point(
            point_requests("warmup", work, running.targets([model]), prompts, draw), concurrency=users, key=running.key
        )


def _measure(running: Running, plan: CellPlan, prompts: tuple[Prompt, ...], writer: RawWriter) -> list[Window]:
    """Every point in the order drawn, each written out before the next begins."""
    windows: list[Window] = []
    ends = dict(zip(plan.workloads, accumulate(w.requests for w in plan.workloads.values()), strict=True))
    first = 0
    for point in points(plan.workloads, plan.deployment.models, f"{plan.seed}:{plan.language}:{plan.replicate}"):
        work = plan.workloads[point.workload]
        own = load(Path(work.prompts)) if work.prompts else prompts
        draw = Draw(plan.seed, plan.language, plan.replicate, ends[point.workload] - work.requests)
        planned = point_requests(point.workload, work, running.targets(point.models), own, draw, first)
        before = running.counters()
        recording = run_point(planned, concurrency=work.concurrency, key=running.key)
        windows.append(
            Window(
                workload=point.workload,
                models=point.models,
                started_ns=recording.started_ns,
                measured_from_ns=recording.started_ns + int(work.ramp_s * 1e9),
                ended_ns=recording.ended_ns,
                concurrency=work.concurrency,
                rate=work.rate,
                asked=len(planned),
                counters_before=before,
                counters_after=running.counters(),
                client_cpu_s=recording.client_cpu_s,
            )
        )
        writer.add(recording)
        first += len(planned)
    return windows


def _progress(cell: Cell, cells: Path) -> None:
    """One line a cell: what, which of how many, tokens per second, time left."""
    measured_ns = sum(w.ended_ns - w.started_ns for w in cell.windows)
    tokens = sum(cell.plan["workloads"][w.workload]["max_tokens"] * w.asked for w in cell.windows)
    at, of, left = position(cells, cell.clock_end.monotonic_ns - cell.clock_start.monotonic_ns)
    log.info(
        f"cell {at} of {of or 'an unknown number'} measured",
        deployment=cell.deployment,
        language=cell.language,
        replicate=cell.replicate,
        tokens_per_s=round(tokens / measured_ns * 1e9, 1),
        minutes_left="unknown" if left is None else round(left, 1),
    )
