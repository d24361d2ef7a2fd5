"""What a machine lacks to run an engine that a lock installs: told at plan time, before anything is fetched."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from serving_study.engines.base import Engine
from serving_study.serving import cache, install

CPUINFO = Path("/proc/cpuinfo")
NVIDIA = Path("/proc/driver/nvidia/version")


def lacks(engine: Engine, version: str, gigabytes: float) -> str | None:
    """Why ``version`` cannot be installed here, or None; ``gigabytes`` is what its environment takes."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"its lock is for Linux on x86-64; this is {platform.system()} on {platform.machine()}"
    if " avx2" not in CPUINFO.read_text(encoding="utf-8"):
        return "its wheels need a processor with AVX2; this one has none (see /proc/cpuinfo)"
    lock = install.lock_file(engine, version)
    pythons = re.match(r"# python: (.*)", lock.read_text(encoding="utf-8")) if lock else None
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if pythons and here not in pythons[1].split():
        return f"its lock holds for Python {', '.join(pythons[1].split())}; this is Python {here}"
    if cache.receipt(install.home(engine, version)) is not None:
        return None
    free = shutil.disk_usage(_standing(cache.root())).free / 1e9
    if free < gigabytes:
        return f"it takes {gigabytes:g} GB and {cache.root()} has {free:.1f} GB free"
    return None


def has_gpu() -> bool:
    """Whether the kernel has NVIDIA's driver."""
    return NVIDIA.exists()


def lacks_for_container() -> str | None:
    """Why no official image can run here, or None."""
    if shutil.which("docker") is None:
        return "it runs as a container and there is no docker on PATH"
    try:
        said = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "it runs as a container and docker's daemon does not answer (docker info)"
    if said.returncode:
        last = (said.stderr or said.stdout).strip().splitlines()[-1:]
        return f"it runs as a container and docker cannot be used: {' '.join(last)}"
    return None


def _standing(folder: Path) -> Path:
    return folder if folder.exists() else _standing(folder.parent)
