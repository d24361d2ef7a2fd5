"""``cell.json``: what a cell says of itself beside its raw tables."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Clock(Record):
    """One instant on both clocks, in ns: ties CLOCK_MONOTONIC to UTC."""

    monotonic_ns: int
    utc_ns: int


class Window(Record):
    """One point as it ran: its times, its schedule and the engine's counters around it."""

    workload: str
    models: tuple[str, ...]
    """More than one when the workload loads all models together."""
    started_ns: int
    """First intended send."""
    measured_from_ns: int
    """``started_ns`` plus the ramp."""
    ended_ns: int
    """Last intended end: when the last request of the schedule was done."""
    concurrency: int | None
    rate: float | None
    asked: int
    """Requests in the schedule."""
    counters_before: dict[str, dict[str, float]]
    """Server to counter to value, read just before the point (see an engine's ``counters``)."""
    counters_after: dict[str, dict[str, float]]
    client_cpu_s: float


class Host(Record):
    """The measuring machine, as far as it explains a number."""

    name: str
    """A hash of the machine's id: tells machines apart and says nothing more."""
    system: str
    processor: str
    cores: int
    memory_bytes: int
    accelerators: tuple[str, ...]
    python: str


class Cell(Record):
    """What ``cell.json`` holds."""

    study: str
    deployment: str
    language: str
    replicate: int
    life: str
    """Id of the server life that was measured."""
    plan: dict[str, Any]
    prompts_sha256: str
    code: str
    """Digest of the measuring code: the rule's ``params.code``."""
    commit: str | None
    command: tuple[str, ...]
    """The command of this job."""
    servers: dict[str, tuple[str, ...]]
    """Server to the argv that ran."""
    host: Host
    clock_start: Clock
    clock_end: Clock
    warmup_requests: dict[str, int]
    windows: tuple[Window, ...]
    codes: dict[str, str]
    """Validity codes that only the measuring job can know (SERVER_RESTARTED, CLOCK_STEP, THROTTLED, NOISY_HOST) to the reason."""
    files: dict[str, str]
    """File name to sha256 of requests, chunks and telemetry."""
