"""``derive`` is fast, and its memory does not grow with the chunks of a cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from raw_cell import many

from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging

PEAK = """
import resource, sys
from pathlib import Path
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
derive(Path(sys.argv[1]), Judging())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


RATIO = """
import sys, time
from pathlib import Path
import orjson
from serving_study.metrics.arrivals import wires
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.wire import reply
cell = Path(sys.argv[1])
bodies = [reply(wire).body for _, wire in wires(cell.parent / "chunks.parquet")]
events = [e[6:] for body in bodies for e in body.split(b"\\n\\n") if e.startswith(b"data: {")]
for _ in range(5):
    began = time.process_time()
    for event in events:
        orjson.loads(event)
    parsed = time.process_time()
    derive(cell, Judging())
    print((time.process_time() - parsed) / (parsed - began))
"""


def in_a_process_of_its_own(program: str, cell: Path) -> str:
    """What it prints: neither the memory of this process nor a tracer in it counts."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, str(cell)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def peak_bytes(cell: Path) -> int:
    return int(in_a_process_of_its_own(PEAK, cell))


def test_memory_grows_by_little_more_than_one_number_a_chunk(tmp_path):
    few, lots = many(tmp_path / "few", 200, 500), many(tmp_path / "lots", 1000, 500)
    chunks = [pq.read_metadata(cell.parent / "chunks.parquet").num_rows for cell in (few, lots)]
    grown = peak_bytes(lots) - peak_bytes(few)
    assert grown / (chunks[1] - chunks[0]) < 60, "bytes a chunk; the raw data has more than 200"


def test_deriving_costs_little_more_than_reading_the_json_of_the_events_would(tmp_path):
    ratios = in_a_process_of_its_own(RATIO, many(tmp_path, 300, 256)).split()
    assert min(map(float, ratios)) < 5


def test_the_large_cell_is_read_right(tmp_path):
    derived = derive(many(tmp_path, 30, 100, group=777), Judging())
    rows = derived.metrics.to_pylist()
    assert {(r["error"], r["chunks"], r["output_tokens"]) for r in rows} == {(None, 100, 100)}
    assert {r["tpot"] for r in rows} == {10_000_000}
