"""Write environment.yml for conda from the pins of requirements.lock."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

LOCK = Path("requirements.lock")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write it."""
    parser.add_argument("out", type=Path, nargs="?", default=Path("environment.yml"))


def pins(lock: str) -> Iterator[str]:
    """``name==version`` of every requirement, with its marker where it has one."""
    for line in lock.splitlines():
        found = re.match(r"([A-Za-z0-9_.-]+==[^ \\]+)( ; [^\\]+)?", line)
        if found:
            yield found[1] + (found[2] or "").rstrip()


def text(lock: str) -> str:
    """The file's text: Python from conda, every pin through pip."""
    head = "# Generated from requirements.lock: python -m serving_study environment\nname: llm-serving-study\n"
    lines = [f'      - "{pin}"' for pin in pins(lock)]
    dependencies = "dependencies:\n  - python=3.11\n  - make\n  - pip\n  - pip:\n"
    return head + "channels: [conda-forge]\n" + dependencies + "\n".join(lines) + "\n"


def run(args: argparse.Namespace) -> None:
    """Write it."""
    args.out.write_text(text(LOCK.read_text()))
