"""The cache of what is costly to fetch: engine environments and model files, shared by all clones and studies.

An entry is a folder named by the hash of what it must hold. It counts only once its ``receipt.json`` stands, which is
written last and in one step: an entry whose making was killed is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

from serving_study.files import write_json
from serving_study.serving.flock import held

RECEIPT = "receipt.json"
VARIABLE = "SERVING_STUDY_CACHE"
log = structlog.get_logger()


def root() -> Path:
    """``SERVING_STUDY_CACHE``, else ``llm-serving-study`` in the XDG cache folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "llm-serving-study"


def portable(text: str) -> str:
    """``text`` without folders of this machine: the cache, this checkout and the home folder get names of their own."""
    places = {str(root()): f"${VARIABLE}", str(Path.cwd()): ".", str(Path.home()): "~"}
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    return text


def key(*parts: str) -> str:
    """Twelve hex digits that change with any of ``parts``."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def receipt(entry: Path) -> dict[str, Any] | None:
    """What the finished entry says of itself; None when it is not finished."""
    try:
        said: dict[str, Any] = json.loads((entry / RECEIPT).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return said


def entry(folder: Path, fill: Callable[[Path], dict[str, Any]], sound: Callable[[Path], bool], keep: bool) -> Path:
    """``folder``, filled by ``fill`` unless it is there and ``sound``; processes that want the same one wait.

    ``fill`` returns the receipt. With ``keep`` it finds what an interrupted run left, else an empty folder.
    """

    def waiting(holder: str) -> None:
        log.info("waiting for another process that fills the cache", entry=str(folder), holder=holder)

    with held(folder.with_name(folder.name + ".lock"), waiting):
        if receipt(folder) is not None and sound(folder):
            return folder
        (folder / RECEIPT).unlink(missing_ok=True)
        if folder.exists() and not keep:
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        said = fill(folder)
        write_json(folder / RECEIPT, said)
    return folder


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``, links left out."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())


def lines_sha256(lines: Iterable[str]) -> str:
    """Hex digest of the lines, each ended by a newline."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
