"""Measure the known-truth server as a cell, and derive its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serving_study.load.point import run_point
from serving_study.load.record import Cell, Clock, Host, Window
from serving_study.load.recording import Recording
from serving_study.load.schedule import Planned
from serving_study.load.write import RawWriter
from serving_study.metrics.derive import Derived, derive
from serving_study.metrics.point import Judging

CLOCK = Clock(monotonic_ns=0, utc_ns=0)
HOST = Host(name="h", system="Linux", processor="p", cores=2, memory_bytes=1, accelerators=(), python="3.11")


def measured(folder: Path, planned: Sequence[Planned], concurrency: int | None, workers: int = 1) -> Derived:
    """Run the schedule, write the raw files into ``folder``, and derive them."""
    recording = run_point(planned, concurrency=concurrency, workers=workers)
    writer = RawWriter(folder)
    writer.add(recording)
    return derive(written(folder, recording, concurrency, writer.close()), Judging())


def written(folder: Path, recording: Recording, concurrency: int | None, files: dict[str, str]) -> Path:
    """``cell.json`` beside the raw files."""
    planned = recording.planned
    window = Window(
        workload=planned[0].workload,
        models=tuple({each.model for each in planned}),
        started_ns=recording.started_ns,
        measured_from_ns=recording.started_ns,
        ended_ns=recording.ended_ns,
        concurrency=concurrency,
        rate=None if concurrency else 1.0,
        asked=len(planned),
        counters_before={},
        counters_after={},
        client_cpu_s=recording.client_cpu_s,
    )
    cell = Cell(
        study="truth", deployment="truth", language="en", replicate=1, life="life", plan={}, prompts_sha256="", code="",
        commit=None, command=(), servers={}, host=HOST, clock_start=CLOCK, clock_end=CLOCK, warmup_requests={},
        windows=(window,), codes={}, files=files,
    )  # fmt: skip
    file = folder / "cell.json"
    file.write_text(cell.model_dump_json())
    return file
