"""NVIDIA cards through NVML; nothing where there are none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any

import pynvml

SLOWED = (
    pynvml.nvmlClocksThrottleReasonHwSlowdown
    | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
)
"""Reasons that make a measurement invalid: heat and power supply. A power cap is how the card was sold."""


READINGS: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
    ("utilization", "1", lambda card: pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100),
    ("power", "W", lambda card: pynvml.nvmlDeviceGetPowerUsage(card) / 1e3),
    ("energy", "J", lambda card: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1e3),
    ("clock", "Hz", lambda card: pynvml.nvmlDeviceGetClockInfo(card, pynvml.NVML_CLOCK_SM) * 1e6),
    ("temperature", "Cel", lambda card: float(pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU))),
    ("slowed", "1", lambda card: float(bool(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(card) & SLOWED))),
)
"""Name, unit and how to read it; of several cards each has its number behind the name."""


@cache
def _cards() -> tuple[Any, ...]:
    try:
        pynvml.nvmlInit()
        return tuple(pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()


def titles() -> list[str]:
    """Name, memory (where the card has its own) and driver of each card."""
    driver = pynvml.nvmlSystemGetDriverVersion() if _cards() else ""
    said = []
    for card in _cards():
        memory = _or_none(lambda card: pynvml.nvmlDeviceGetMemoryInfo(card).total, card)
        size = [] if memory is None else [f"{memory / 2**30:.0f} GiB"]
        said.append(", ".join([str(pynvml.nvmlDeviceGetName(card)), *size, f"driver {driver}"]))
    return said


def read(trees: Mapping[str, Collection[int]]) -> Iterator[tuple[str, str, str, float]]:
    """(server, name, unit, value) now: of all cards together under the empty name, and each server's own memory.

    ``trees`` maps a server to the processes of its tree. What a card does not tell is left out.
    """
    used = [_or_none(lambda card: pynvml.nvmlDeviceGetMemoryInfo(card).used, card) for card in _cards()]
    told = [value for value in used if value is not None]
    if told:
        yield "", "memory", "byte", sum(told)
    for number, card in enumerate(_cards()):
        suffix = f"_{number}" if len(_cards()) > 1 else ""
        for name, unit, reading in READINGS:
            value = _or_none(reading, card)
            if value is not None:
                yield "", name + suffix, unit, value
    if _cards():
        for server, own in _of_servers(trees).items():
            yield server, "memory_of_server", "byte", own


def _or_none(reading: Callable[[Any], float], card: Any) -> float | None:
    try:
        return reading(card)
    except pynvml.NVMLError:
        return None


def _of_servers(trees: Mapping[str, Collection[int]]) -> dict[str, float]:
    used = dict.fromkeys(trees, 0.0)
    for card in _cards():
        with contextlib.suppress(pynvml.NVMLError):
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(card):
                for server, pids in trees.items():
                    if process.pid in pids and process.usedGpuMemory is not None:
                        used[server] += process.usedGpuMemory
    return used
