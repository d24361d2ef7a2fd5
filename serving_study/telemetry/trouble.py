"""What the measuring job alone can know of a cell's validity, from its clocks and its telemetry.

Each function says the reason, with its numbers, or None. Limits are stated where they stand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving_study.load.record import Clock

NOISE = 0.05
"""Share of the processors that others may take from servers and client. Between two lives it adds about as much spread
as the lives have by themselves (1 to 7 % measured)."""
SLEW = 0.0005
"""The most by which clock discipline changes the rate of a clock (500 ppm)."""
STEP_NS = 50_000_000
HELD_BACK = 0.01
"""Share of the time that the processors may be held back."""

Series = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def trouble(start: Clock, end: Clock, telemetry: Path) -> dict[str, str]:
    """Code to reason of everything that went wrong; empty for a quiet cell."""
    readings = Readings(telemetry)
    found = {
        "CLOCK_STEP": clock_step(start, end),
        "THROTTLED": throttled(readings),
        "NOISY_HOST": noisy(readings),
        "SERVER_RESTARTED": restarted(readings),
    }
    return {code: reason for code, reason in found.items() if reason is not None}


class Readings:
    """The series of a telemetry file."""

    def __init__(self, telemetry: Path) -> None:
        self._table = pq.read_table(telemetry)

    def series(self, source: str, name: str) -> dict[str, Series]:
        """Server (empty for host and client) to times in ns and values."""
        chosen = self._table.filter((pc.field("source") == source) & (pc.field("name") == name))
        found: dict[str, Series] = {}
        for server in pc.unique(chosen["server"]).to_pylist():
            rows = chosen.filter(pc.field("server") == server)
            found[str(server)] = (rows["time_ns"].to_numpy(), rows["value"].to_numpy())
        return found

    def growth(self, source: str, name: str) -> float | None:
        """By how much the sum of a counter over all servers grew from first to last reading; None where it is not told."""
        series = self.series(source, name)
        return sum(float(values[-1] - values[0]) for _, values in series.values()) if series else None

    def span_s(self) -> float:
        """From the first reading to the last."""
        times = self._table["time_ns"].to_numpy()
        return float(times.max() - times.min()) / 1e9 if len(times) else 0.0


def clock_step(start: Clock, end: Clock) -> str | None:
    """UTC was set while the cell was measured: its times cannot be laid beside another host's.

    Intervals stay right, since they come from the monotonic clock; a sleep of the machine shows in the same way.
    """
    monotonic = end.monotonic_ns - start.monotonic_ns
    step = end.utc_ns - start.utc_ns - monotonic
    if abs(step) <= STEP_NS + SLEW * monotonic:
        return None
    return f"UTC moved by {step / 1e9:+.3f} s against the monotonic clock within {monotonic / 1e9:.0f} s"


def throttled(readings: Readings) -> str | None:
    """Processors or cards were held back: by heat, by power supply, or by the quota of our control group."""
    hot = readings.growth("host", "thermal_events")
    if hot:
        return f"{hot:.0f} times a core became too hot and was slowed"
    waited, span = readings.growth("host", "quota_seconds"), readings.span_s()
    if waited and span and waited / span > HELD_BACK:
        return f"waited {waited:.1f} s of {span:.0f} s for the processor quota of its control group"
    for name in ("slowed", *(f"slowed_{card}" for card in range(16))):
        for _, values in readings.series("nvml", name).values():
            if values.mean() > HELD_BACK:
                return f"the accelerator was slowed by heat or power supply in {values.mean():.0%} of the readings"
    return None


def noisy(readings: Readings) -> str | None:
    """Other programs, or other guests of the hypervisor, took processor time that servers and client may have wanted."""
    busy = readings.growth("host", "cpu_busy")
    stolen = readings.growth("host", "cpu_stolen")
    cores, span = readings.series("host", "cores"), readings.span_s()
    if busy is None or stolen is None or not cores or not span:
        return None
    ours = (readings.growth("process", "cpu_time") or 0.0) + (readings.growth("client", "cpu_time") or 0.0)
    capacity = span * float(cores[""][1][0])
    others, stolen_share = max(0.0, busy - ours) / capacity, stolen / capacity
    if others + stolen_share <= NOISE:
        return None
    return (
        f"other programs took {others:.1%} of the processors and the hypervisor {stolen_share:.1%} (limit {NOISE:.0%})"
    )


def restarted(readings: Readings) -> str | None:
    """A counter that only grows went back: another process answers at an external server's URL.

    Of a server that the study started this is known for certain (``Life.check``), and its counters may well go back:
    a model that is unloaded takes its own with it.
    """
    ours = readings.series("process", "cpu_time")
    for server, (_, values) in readings.series("engine", "generated_tokens").items():
        if server not in ours and bool((np.diff(values) < 0).any()):
            return (
                f"the count of generated tokens of server {server} went back from {values.max():g} to {values.min():g}"
            )
    return None
