"""Measured tables inside a page of docs: replaced whole, between two comments."""

from __future__ import annotations

import os
from pathlib import Path

from serving_study.telemetry.host import host


def machine() -> str:
    """The measuring machine in words."""
    found = host()
    busy = f"load average {os.getloadavg()[1]:.1f} over five minutes"
    return f"{found.processor}, {found.cores} processors for server and client together, {found.system}, {busy}"


def write_between(document: Path, name: str, content: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""
    text = document.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {name} -->", 1)
    _, after = rest.split(f"<!-- /{name} -->", 1)
    document.write_text(f"{before}<!-- {name} -->\n{content}\n<!-- /{name} -->{after}", encoding="utf-8")
