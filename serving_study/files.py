"""Writing small JSON files, whole or not at all, and what a folder holds."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` with sorted keys through a temporary name in the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    temporary.replace(path)


def write_manifest(folder: Path, path: Path) -> None:
    """SHA-256 of every file in ``folder``: a file that Snakemake can compare, which it cannot do with folders."""
    files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
    write_json(path, {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
