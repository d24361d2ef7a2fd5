"""The measuring machine: who it is, and what its clocks say."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from serving_study.load.clock import pair
from serving_study.load.record import Clock, Host
from serving_study.telemetry import accelerators, processors

SOURCE = ("serving_study", "workflow", "config", "Snakefile")
"""What a measurement depends on."""


def host() -> Host:
    """Who it is. The name is a hash of the machine's id: equal for equal machines only, and tells nobody anything."""
    return Host(
        name=_name(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=processors.cores(),
        memory_bytes=psutil.virtual_memory().total,
        accelerators=tuple(accelerators.titles()),
        python=platform.python_version(),
    )


def making() -> dict[str, Any]:
    """How a record came to be: the command of this job and the commit of its source, marked when that was changed since."""
    commit, changes = (
        subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "--", *SOURCE))
    )
    said = f"{commit}, changed since" if changes else commit
    return {"command": ("python", "-m", "serving_study", *sys.argv[1:]), "commit": said or None}


def clock() -> Clock:
    """One instant on both clocks."""
    monotonic, utc = pair()
    return Clock(monotonic_ns=monotonic, utc_ns=utc)


def _name() -> str:
    files = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
    machine = next((f.read_text(encoding="utf-8").strip() for f in files if f.is_file()), "") or platform.node()
    # containers of one image may share the id: what the hardware is tells them apart
    parts = ("llm-serving-study", machine, _processor(), str(os.cpu_count()), str(psutil.virtual_memory().total))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
