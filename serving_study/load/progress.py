"""How far a study is: one line for every cell."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

CELLS = "SERVING_STUDY_CELLS"
_FILES = "*/*/r*/cell.json"


def announce(cells: int, folder: Path) -> None:
    """Tell the jobs of this run when it began, how many cells the study has, and how many of them it found in ``folder``.

    Each job reads the workflow again and with it calls this again: what the run said first stays.
    """
    found = sum(1 for _ in folder.glob(_FILES))
    os.environ.setdefault(CELLS, f"{time.time_ns()} {cells} {found}")


def position(cells: Path, own_ns: int) -> tuple[int, int | None, float | None]:
    """Which cell of how many of this run this one is, and the minutes that are left.

    ``cells`` is the folder of a study's cells, ``own_ns`` what this cell took; its own cell.json does not stand there yet.
    The run measures what was missing when it began. Once it measures anew what stood there then, nobody but Snakemake
    knows how many follow: both are None, as they are by hand.
    """
    began, asked, found = map(int, os.environ.get(CELLS, "0 0 0").split())
    done, older = [own_ns], 0
    for file in cells.glob(_FILES):
        cell = json.loads(file.read_text())
        if cell["clock_end"]["utc_ns"] < began:
            older += 1
        else:
            done.append(cell["clock_end"]["monotonic_ns"] - cell["clock_start"]["monotonic_ns"])
    total = asked if older == 0 else asked - found
    if total < len(done) or 0 < older < found:
        return len(done), None, None
    return len(done), total, (total - len(done)) * statistics.median(done) / 60e9
