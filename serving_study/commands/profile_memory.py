"""Profile the memory of a deployment: before start, idle, under each load, peak, after stop."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving_study.load.point import run_point
from serving_study.serving.deployment import Running, started
from serving_study.serving.questions import Draw, point_requests
from serving_study.study.cells import points
from serving_study.study.plans import MemoryPlan
from serving_study.study.prompts import load
from serving_study.telemetry import accelerators
from serving_study.telemetry.host import making
from serving_study.telemetry.processes import tree_memory
from serving_study.telemetry.sampler import Sampler

COLUMNS = {
    "server": (pa.string(), "name", "server; empty for the whole host"),
    "stage": (pa.string(), "name", "before, idle, a workload, peak or stopped"),
    "part": (pa.string(), "name", "what was read: pss, rss, device, weights ..."),
    "value": (pa.float64(), "byte", "largest reading of the stage"),
    "source": (pa.string(), "name", "who saw it: kernel, driver or engine"),
}
SCHEMA = pa.schema(
    [pa.field(name, kind, False, {"unit": unit, "description": says}) for name, (kind, unit, says) in COLUMNS.items()]
)
PARTS = {
    ("process", "pss"): ("pss", "kernel"),
    ("process", "rss"): ("rss", "kernel"),
    ("nvml", "memory_of_server"): ("device", "driver"),
    ("nvml", "memory"): ("device", "driver"),
}
"""Source and name of a reading to part and who saw it."""

Row = dict[str, str | float]
Stage = tuple[str, int, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the prompts that make the load and where the profile goes."""
    parser.add_argument("plan", type=MemoryPlan.model_validate_json)
    parser.add_argument("--code", default="")
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    """Write ``memory.parquet``: one life, described, never ranked."""
    plan: MemoryPlan = args.plan
    rows = list(_host("before"))
    with started(plan, args.out.parent / "servers-memory") as running:
        pids, life = running.pids(), running.life.id
        with Sampler(pids, running.counter_readers()) as sampler:
            stages = _loads(running, plan, args.prompts)
        for name, server in running.life.servers.items():
            parts = running.engine.memory(server).items()
            rows += [_row(name, "peak", part, value, "engine") for part, value in parts]
    rows += _stages(sampler.table, stages)
    rows += [_row(name, "stopped", "pss", float(tree_memory(pid)), "kernel") for name, pid in pids.items()]
    rows += _host("stopped")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    made = {"life": life, "code": args.code, **making()}
    schema = SCHEMA.with_metadata({"made": json.dumps(made)})
    pq.write_table(pa.Table.from_pylist(rows, schema), args.out, compression="zstd")


def _loads(running: Running, plan: MemoryPlan, prompts: Path) -> list[Stage]:
    """Put every load of the study on the deployment; when each stage began and ended."""
    stages: list[Stage] = []
    end = 0
    for point in sorted(points(plan.workloads, plan.deployment.models, "memory")):
        work = plan.workloads[point.workload].model_copy(
            update={"kinds": (), "lengths": ("short", "long"), "prompts": None}
        )
        draw = Draw(plan.seed, "en", 0)
        recording = run_point(
            point_requests(point.workload, work, running.targets(point.models), load(prompts), draw),
            concurrency=work.concurrency,
            key=running.key,
        )
        if not stages:
            stages.append(("idle", 0, recording.started_ns))
        stages.append((point.workload, recording.started_ns, recording.ended_ns))
        end = recording.ended_ns
    return [*stages, ("peak", 0, end)]


def _stages(readings: pa.Table, stages: list[Stage]) -> Iterator[Row]:
    """The largest reading of every server and part in each stage; a workload of several points counts as one stage."""
    largest: dict[tuple[str, str, str, str], float] = {}
    for stage, start, end in stages:
        inside = readings.filter((pc.field("time_ns") >= start) & (pc.field("time_ns") <= end))
        for reading in inside.to_pylist():
            part = PARTS.get((reading["source"], reading["name"]))
            if part:
                key = (reading["server"], stage, *part)
                largest[key] = max(largest.get(key, 0.0), reading["value"])
    return (_row(server, stage, part, value, source) for (server, stage, part, source), value in largest.items())


def _host(stage: str) -> Iterator[Row]:
    """What the whole host has in use, without the deployment."""
    memory = psutil.virtual_memory()
    yield _row("", stage, "host", float(memory.total - memory.available), "kernel")
    for server, name, _, value in accelerators.read({}):
        if name == "memory":
            yield _row(server, stage, "device", value, "driver")


def _row(server: str, stage: str, part: str, value: float, source: str) -> Row:
    return {"server": server, "stage": stage, "part": part, "value": value, "source": source}
