"""How far a study is: one line for every cell."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

CELLS = "SERVING_STUDY_CELLS"


def announce(cells: int) -> None:
    """Tell the jobs of this run how many cells the study has."""
    os.environ[CELLS] = str(cells)


def position(cells: Path, own_ns: int) -> tuple[int, int | None, float | None]:
    """Which cell of how many this one is, and the minutes that are left.

    ``cells`` is the folder of a study's cells, ``own_ns`` what this cell took. The workflow says how many there are in
    SERVING_STUDY_CELLS; by hand it is not known, and both are None.
    """
    done = [own_ns]
    for file in cells.glob("*/*/r*/cell.json"):
        cell = json.loads(file.read_text())
        done.append(cell["clock_end"]["monotonic_ns"] - cell["clock_start"]["monotonic_ns"])
    total = int(os.environ.get(CELLS, 0))
    if total < len(done):
        return len(done), None, None
    return len(done), total, (total - len(done)) * statistics.median(done) / 60e9
