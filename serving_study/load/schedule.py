"""What is asked and when: drawn once, before the run, from the seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving_study.study.errors import StudyError

SECOND = 1_000_000_000
Arrivals = Literal["constant", "poisson", "replay"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One request of the schedule, ready for the wire."""

    request: int
    """Number inside its cell."""
    workload: str
    model: str
    language: str
    prompt: str
    nonce: str
    server: str
    host: str
    port: int
    tls: bool
    payload: bytes
    """HTTP request without the bearer key (see ``payload.http_payload``)."""
    dialect: str
    max_tokens: int
    deadline_ns: int
    """Time allowed, counted from the intended send."""
    connection: Literal["fresh", "pooled"]
    user: int
    """Closed loop: number of the user, who takes its requests in order; open loop: -1."""
    offset_ns: int | None
    """Open loop: intended send from the start of the point; closed loop: None."""


def user_of(position: int, concurrency: int) -> int:
    """Closed loop: user ``u`` of ``c`` takes the requests ``u``, ``u + c``, ``u + 2c`` ..."""
    return position % concurrency


def open_loop_offsets(rate: float, n: int, arrivals: Arrivals, seed: int, replay: Sequence[float] = ()) -> list[int]:
    """Intended sends in ns from the start of the point, ascending.

    ``constant`` begins at 0; ``poisson`` with a first exponential gap. ``replay`` takes recorded offsets in seconds,
    shifted to begin at 0 and scaled so that their mean rate is ``rate`` (0: as recorded).
    """
    if arrivals == "replay":
        return _replayed(rate, n, replay)
    if rate <= 0:
        raise StudyError(f"rate = {rate}: an open loop needs more than 0 requests per second")
    if arrivals == "constant":
        return [round(i * SECOND / rate) for i in range(n)]
    draw = random.Random(seed).random
    at, offsets = 0.0, []
    for _ in range(n):
        at -= math.log(1.0 - draw()) / rate
        offsets.append(round(at * SECOND))
    return offsets


def _replayed(rate: float, n: int, replay: Sequence[float]) -> list[int]:
    if len(replay) < n:
        raise StudyError(f"replay: {len(replay)} recorded arrivals for {n} requests: record more or ask for fewer")
    ordered = sorted(replay)[:n]
    first, span = ordered[0], ordered[-1] - ordered[0]
    scale = (n - 1) / rate / span if rate > 0 and span > 0 else 1.0
    return [round((at - first) * scale * SECOND) for at in ordered]


def ramp_offsets(steps: Sequence[tuple[float, float]], arrivals: Arrivals, seed: int) -> list[int]:
    """Offsets of a rate that changes: ``steps`` are (requests per second, seconds), one after the other."""
    offsets: list[int] = []
    begins = 0.0
    for number, (rate, seconds) in enumerate(steps):
        within = open_loop_offsets(rate, math.ceil(rate * seconds * 2) + 16, arrivals, seed + number)
        offsets += [round(begins * SECOND) + at for at in within if at < seconds * SECOND]
        begins += seconds
    return offsets


def read_replay(path: Path) -> list[float]:
    """Recorded arrival offsets in seconds, one a line; empty lines and lines that begin with ``#`` are left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path}: cannot be read as text ({error}); name a file of arrival offsets in seconds, one a line"
        ) from error
    offsets = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            at = float(text)
        except ValueError:
            at = math.nan
        if not math.isfinite(at):
            raise StudyError(f"{path}:{number}: {text[:40]!r} is no arrival offset: one number of seconds a line")
        offsets.append(at)
    return offsets


def order(
    planned: Sequence[Planned], positions: Sequence[int], stagger_ns: int
) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """What starts by the clock, as (offset, position) and latest first, and which request of a user follows which.

    ``positions`` are those of one worker. Users begin ``stagger_ns`` apart.
    """
    due: list[tuple[int, int]] = []
    after: dict[int, int] = {}
    last: dict[int, int] = {}
    users = {user: rank for rank, user in enumerate(sorted({each.user for each in planned}))}
    for position in positions:
        each = planned[position]
        if each.offset_ns is not None:
            due.append((each.offset_ns, position))
        elif each.user in last:
            after[last[each.user]] = position
        else:
            due.append((users[each.user] * stagger_ns, position))
        last[each.user] = position
    return sorted(due, reverse=True), after
