"""Python environments and unpacked wheels, made by uv: hashes checked, nothing built, nothing resolved."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import structlog
import uv

from serving_study.serving.interrupts import die_with_parent
from serving_study.study.errors import StudyError

log = structlog.get_logger()

_CAUSES = (
    (
        r"Hash mismatch for `([^`]+)`",
        "{0}: the file that was served has another sha256 than the lock allows",
        "do not use it; if the package index is a mirror, try another one (UV_DEFAULT_INDEX); "
        "if the publisher replaced the file, lock a new version",
    ),
    (
        r"No space left on device",
        "the disk is full",
        "free space or set SERVING_STUDY_CACHE (and UV_CACHE_DIR) to a folder on another disk, then run it again",
    ),
    (
        r"has no wheels with a matching|no compatible (?:tag|wheel)|only has wheels for the following",
        "no wheel of it fits this machine and Python " + ".".join(map(str, sys.version_info[:2])),
        "use a Python version that the lock was made for, or another engine version",
    ),
    (
        r"network was disabled|Failed to fetch|Failed to download|error sending request|dns error|Connection refused",
        "the package index did not answer",
        "check the network (HTTPS_PROXY, UV_DEFAULT_INDEX) and run it again: finished downloads are kept",
    ),
)


def create(home: Path, lock: Path) -> None:
    """A virtual environment in ``home`` with exactly the packages of ``lock``, of the Python that runs this."""
    told = str(lock)
    _uv(["venv", "--quiet", "--clear", "--python", sys.executable, "--no-project", str(home)], told)
    wanted = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirements", str(lock)]
    _uv(["pip", "install", "--python", str(home / "bin" / "python"), *wanted], told)


def unpack(package: str, version: str, folder: Path) -> None:
    """The wheel of ``package`` unpacked into ``folder``: never imported, never built, its dependencies left out."""
    wanted = f"{package}=={version}"
    how = ["--target", str(folder), "--python", sys.executable, "--no-deps", "--only-binary", ":all:"]
    _uv(["pip", "install", *how, wanted], wanted)


def _uv(arguments: list[str], told: str) -> None:
    """Run uv, passing its lines on as progress; ``told`` is what an error names."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    process = subprocess.Popen(
        [uv.find_uv_bin(), "--no-progress", "--color", "never", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        # else a uv that outlives a killed job would write into the folder that the next one makes anew
        preexec_fn=die_with_parent,
    )
    lines: list[str] = []
    assert process.stderr is not None
    with process:
        for line in process.stderr:
            lines.append(line.rstrip())
            if line.strip().startswith(("Downloading", "Downloaded", "Installed")):
                log.info(line.strip().lower(), what=told)
    if process.returncode:
        raise StudyError(_explain(told, lines))


def _explain(told: str, lines: list[str]) -> str:
    said = "\n".join(lines)
    for pattern, cause, remedy in _CAUSES:
        found = re.search(pattern, said)
        if found:
            return f"{told}: {cause.format(*found.groups())}. Next: {remedy}.\n{_last(lines)}"
    return f"{told}: uv could not install it. Next: see what it said.\n{_last(lines)}"


def _last(lines: list[str], count: int = 8) -> str:
    return "\n".join(f"  uv: {line}" for line in lines[-count:] if line.strip())
