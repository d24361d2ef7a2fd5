"""The process beside a measurement that reads; ``sampler.Sampler`` starts it.

It is apart from the load generator, whose times it would disturb, and politer than everything else on the processors. It gets
a pickled plan on stdin, reads until stdin ends (as it does when the measuring process dies), then writes its rows to
stdout. Costs are bounded: what the kernel counts for nothing is read every period, PSS so seldom that it takes at most
a hundredth of one core, an engine's counters and the cards once a second.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import requests

from serving_study.telemetry import accelerators, processes, processors

NICE = 5
SLOW_S = 1.0
"""Between two readings of what costs something: counters, cards, PSS, the list of processes."""
PSS_SHARE = 0.01
"""Share of one core that reading PSS may take."""

Reading = tuple[str, str, str, str, float]
"""Source, server, name, unit, value."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read."""

    servers: Mapping[str, int]
    """Server to the pid that its process tree hangs from."""
    counters: Mapping[str, Callable[[], Mapping[str, float]]]
    """Server to what reads its engine's counters; must survive pickling."""
    period_s: float
    client: int
    """Pid of the measuring process; what it started counts with it, servers left out."""


@dataclass(slots=True)
class Rows:
    """Columns of the readings; names are kept once."""

    times: array[int] = field(default_factory=lambda: array("q"))
    kinds: array[int] = field(default_factory=lambda: array("i"))
    values: array[float] = field(default_factory=lambda: array("d"))
    names: dict[tuple[str, str, str, str], int] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """One reading, now."""
        *name, value = reading
        self.times.append(time.monotonic_ns())
        self.kinds.append(self.names.setdefault(tuple(name), len(self.names)))  # type: ignore[arg-type]
        self.values.append(value)


class Reader:
    """Reads what is due; knows when the next slow reading is."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._trees: dict[str, list[int]] = {}
        self._client: list[int] = []
        self._slow_at = 0.0
        self._pss_at = 0.0

    def due(self) -> Iterator[Reading]:
        """Every reading whose time has come."""
        now = time.monotonic()
        slow = now >= self._slow_at
        if slow:
            self._slow_at = now + SLOW_S
            self._look_around()
        yield from self._fast()
        if slow:
            yield from self._counters()
            yield from (("nvml", *reading) for reading in accelerators.read(self._trees))
            yield from self._host()
        if now >= self._pss_at:
            begun = time.process_time()
            for name, pids in self._trees.items():
                yield "process", name, "pss", "byte", processes.pss(pids)
            spent = time.process_time() - begun
            self._pss_at = now + max(SLOW_S, spent / PSS_SHARE) - self._plan.period_s / 2

    def _look_around(self) -> None:
        """Which processes there are: servers may start children at any time."""
        self._trees = {name: processes.tree(pid) for name, pid in self._plan.servers.items()}
        self._client = processes.tree(self._plan.client, without=[os.getpid(), *self._plan.servers.values()])

    def _fast(self) -> Iterator[Reading]:
        for name, pids in self._trees.items():
            yield "process", name, "rss", "byte", processes.rss(pids)
            yield "process", name, "cpu_time", "s", processes.cpu_time(pids)
        yield "client", "", "cpu_time", "s", processes.cpu_time(self._client)
        for name, seconds in processors.processor_time().items():
            yield "host", "", f"cpu_{name}", "s", seconds

    def _counters(self) -> Iterator[Reading]:
        for name, read in self._plan.counters.items():
            try:
                counters = read()
            except requests.RequestException:
                continue  # a server that is busy or gone; the life's own check tells which
            for counter, value in counters.items():
                yield "engine", name, counter, "1", value

    def _host(self) -> Iterator[Reading]:
        yield "host", "", "load", "1", os.getloadavg()[0]
        yield "host", "", "cores", "1", float(len(os.sched_getaffinity(0)))
        for name, value in processors.throttling().items():
            yield "host", "", name, "s" if name.endswith("seconds") else "1", value
        speed = processors.clock_speed()
        if speed is not None:
            yield "host", "", "clock", "Hz", speed
        yield "client", "reader", "cpu_time", "s", time.process_time()


def main() -> None:
    """Read until stdin ends; an empty line on stdout says that the first readings are there."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    plan: Plan = pickle.load(sys.stdin.buffer)
    rows, reader = Rows(), Reader(plan)
    due, ended = time.monotonic(), False
    while not ended:
        first = not rows.times
        for reading in reader.due():
            rows.add(reading)
        if first:
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
        due = max(due + plan.period_s, time.monotonic())
        ended = bool(select.select([sys.stdin.buffer], [], [], max(0.0, due - time.monotonic()))[0])
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as out:  # nobody listens where it was killed
        pickle.dump((rows.times, rows.kinds, rows.values, list(rows.names)), out)
