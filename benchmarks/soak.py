"""Does the client grow? ``python -m benchmarks.soak``: forty points of 30 s at 256 streams, written out one by one.

Prints the proportional set size (PSS) after each point; exits with 1 when the last exceeds the second by more than a tenth.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path

import psutil

from serving_study.load.point import run_point
from serving_study.load.write import RawWriter
from tests.truth.harness import plan, truth

FIRST_S, GAP_S = 0.05, 0.01


def soak(points: int, seconds: float, streams: int, folder: Path) -> list[int]:
    """PSS in bytes after each point."""
    tokens = 128
    each_s = FIRST_S + GAP_S * (tokens - 1)
    requests = streams * max(1, round(seconds / each_s))
    process, held = psutil.Process(), []
    with truth("--first-ms", str(1000 * FIRST_S), "--gap-ms", str(1000 * GAP_S)) as server:
        writer = RawWriter(folder)
        for number in range(points):
            began = time.monotonic()
            recording = run_point(
                plan(server.port, requests, concurrency=streams, max_tokens=tokens), concurrency=streams
            )
            server.entries()
            outcomes, rows, took = recording.outcomes(), recording.rows, time.monotonic() - began
            during = process.memory_full_info().pss
            writer.add(recording)
            del recording
            gc.collect()
            held.append(process.memory_full_info().pss)
            says = f"{rows} chunks in {took:.1f} s, {outcomes}, PSS {during / 1e6:.0f} MB with them, {held[-1] / 1e6:.0f} MB after"
            print(f"point {number + 1}: {says}", flush=True)
        writer.close()
    return held


def main() -> int:
    """As long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--streams", type=int, default=256)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = soak(args.points, args.seconds, args.streams, Path(folder))
    grew = held[-1] / held[1] - 1
    print(f"PSS after the last point against the second: {grew:+.1%}")
    return int(grew > 0.1)


if __name__ == "__main__":
    sys.exit(main())
