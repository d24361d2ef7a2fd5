"""How fast raw bytes become metrics: ``python -m benchmarks.derive [CELL.json]``.

Without a cell it makes one. Prints chunks per second of processor time, beside what reading the JSON of the same events
alone takes with two libraries, and the peak of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from serving_study.metrics.arrivals import wires
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.wire import reply
from tests.metrics.raw_cell import many


def documents(cell: Path) -> list[bytes]:
    """The JSON of every event of the cell."""
    bodies = (reply(wire).body for _, wire in wires(cell.parent / "chunks.parquet"))
    return [e[6:] for body in bodies for e in body.split(b"\n\n") if e.startswith(b"data: {")]


def cpu_s(work: Callable[[], object], rounds: int = 3) -> float:
    """The least processor time of a few rounds."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def rates(cell: Path) -> dict[str, float]:
    """Per second of processor time."""
    chunks = pq.read_metadata(cell.parent / "chunks.parquet").num_rows
    derived = chunks / cpu_s(lambda: derive(cell, Judging()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    events = documents(cell)
    return {
        "chunks": chunks,
        "chunks derived per CPU-second": derived,
        "peak memory of derive, MB": peak,
        "events through orjson alone per CPU-second": len(events) / cpu_s(lambda: [orjson.loads(e) for e in events]),
        "events through json alone per CPU-second": len(events) / cpu_s(lambda: [json.loads(e) for e in events], 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", type=Path, nargs="?")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in rates(args.cell or many(Path(folder), 4000, 128)).items():
            print(f"{name:46}{value:14,.0f}")


if __name__ == "__main__":
    main()
