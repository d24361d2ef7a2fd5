"""The processors that we may use: how many, how long they worked, and what held them back."""

from __future__ import annotations

import math
import os
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """Processors that this process may keep busy: those it may run on, or fewer where its control group has a quota."""
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for group in _groups() if (quota := _quota(group)) is not None]
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def processor_time() -> dict[str, float]:
    """Seconds that the processors we may use have spent so far: ``busy`` with anything, ``stolen`` by the hypervisor."""
    ours = {f"cpu{n}" for n in os.sched_getaffinity(0)}
    busy = stolen = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *numbers = line.split()
        if name in ours:
            user, nice, system, _idle, _iowait, irq, softirq, steal, *_guest = map(int, numbers)
            busy += user + nice + system + irq + softirq
            stolen += steal
    return {"busy": busy / TICKS, "stolen": stolen / TICKS}


def throttling() -> dict[str, float]:
    """How often and how long the processors were held back so far, as far as this machine tells.

    ``thermal_events`` counts cores that became too hot; ``quota_seconds`` is the time that our control group waited
    because its share of the processor was spent.
    """
    said: dict[str, float] = {}
    hot = [int(f.read_text(encoding="ascii")) for f in CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    if hot:
        said["thermal_events"] = float(sum(hot))
    waits = [waited for group in _groups() if (waited := _waited(group)) is not None]
    if waits:
        said["quota_seconds"] = max(waits)
    return said


def clock_speed() -> float | None:
    """Mean frequency of the processors we may use, in Hz; None where the machine does not tell."""
    files = (CPUS / f"cpu{n}" / "cpufreq" / "scaling_cur_freq" for n in os.sched_getaffinity(0))
    speeds = [int(f.read_text(encoding="ascii")) * 1e3 for f in files if f.is_file()]
    return sum(speeds) / len(speeds) if speeds else None


def _groups() -> list[Path]:
    """Folders of our control group for the processor and of those around it, from the innermost."""
    unified = (CGROUPS / "cgroup.controllers").is_file()
    top = CGROUPS if unified else CGROUPS / "cpu"
    inner = top / _memberships().get("" if unified else "cpu", "").lstrip("/")
    return [group for group in (inner, *inner.parents) if group.is_relative_to(top)]


def _memberships() -> dict[str, str]:
    """Controller (empty in version 2) to our group."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()]
    return {controller: group for _, controllers, group in lines for controller in controllers.split(",")}


def _quota(group: Path) -> float | None:
    """Processors' worth of time that the group may use; None without a limit. Version 2 of control groups, then 1."""
    if (group / "cpu.max").is_file():
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    if (group / "cpu.cfs_quota_us").is_file():
        limit = int((group / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        return None if limit < 0 else limit / int((group / "cpu.cfs_period_us").read_text(encoding="ascii"))
    return None


def _waited(group: Path) -> float | None:
    """Seconds that the group waited for its quota so far. Version 2 says it in microseconds, 1 in nanoseconds."""
    if not (group / "cpu.stat").is_file():
        return None
    fields = dict(line.split() for line in (group / "cpu.stat").read_text(encoding="ascii").splitlines())
    if "throttled_usec" in fields:
        return int(fields["throttled_usec"]) / 1e6
    return int(fields["throttled_time"]) / 1e9 if "throttled_time" in fields else None
