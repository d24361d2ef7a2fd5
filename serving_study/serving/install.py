"""Engines into the cache: one folder for each engine, version, lock and Python."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import structlog

from serving_study.engines.base import Engine
from serving_study.serving import cache, environment
from serving_study.study.errors import StudyError

ENVS = Path(__file__).parents[2] / "workflow" / "envs"
log = structlog.get_logger()


def home(engine: Engine, version: str) -> Path:
    """Where this version of the engine lies, or would lie: the name changes with its lock and with Python."""
    lock = lock_file(engine, version)
    text = lock.read_text(encoding="utf-8") if lock else ""
    python = f"{platform.python_implementation()}{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}"
    return cache.root() / "engines" / f"{engine.name}-{version}-{cache.key(engine.name, version, text, python)}"


def install(engine: Engine, version: str) -> Path:
    """The engine's folder, installed unless it stands already.

    A Python engine gets a virtual environment from its lock first; the engine's own ``install`` adds what the lock
    does not bring. Killed half way, it begins again from the downloads that uv kept. Raises StudyError that names the
    lock, the package, the cause and the next step.
    """
    return cache.entry(home(engine, version), lambda folder: _fill(engine, version, folder), _sound, keep=False)


def _fill(engine: Engine, version: str, folder: Path) -> dict[str, Any]:
    began = time.monotonic()
    lock = lock_file(engine, version)
    log.info("installing", engine=engine.name, version=version, into=str(folder))
    if lock:
        environment.create(folder, lock)
    engine.install(version, folder)
    versions = engine.versions(folder)
    size = cache.size(folder)
    seconds = round(time.monotonic() - began, 1)
    log.info("installed", engine=engine.name, version=version, megabytes=round(size / 1e6), seconds=seconds)
    return {
        "engine": engine.name,
        "version": version,
        "versions": versions,
        "lock": lock.name if lock else None,
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock else None,
        "python": platform.python_version(),
        "bytes": size,
        "seconds": seconds,
    }


def lock_file(engine: Engine, version: str) -> Path | None:
    """The lock below ``workflow/envs/``; None for an engine without a Python environment. Raises StudyError."""
    name = engine.lock(version)
    if name is None:
        return None
    lock = ENVS / Path(name).name
    if not lock.is_file():
        known = sorted(f.stem.removeprefix(f"{engine.name}-") for f in ENVS.glob(f"{engine.name}-*.lock"))
        raise StudyError(
            f"workflow/envs/{lock.name}: there is no lock for {engine.title} {version}: locked are "
            f"{', '.join(known) or 'none'}. Next: name one of these in the study, or make the lock"
        )
    return lock


def _sound(folder: Path) -> bool:
    """Whether the environment's Python still runs: the interpreter that it was made from may be gone."""
    python = folder / "bin" / "python"
    if not python.is_symlink():
        return True
    try:
        return subprocess.run([python, "-I", "-c", ""], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        log.warning("the environment's Python is gone: installing again", folder=str(folder))
        return False
