"""How far the instrument is from the truth, beside a plain aiohttp client: ``python -m benchmarks.accuracy``.

The known-truth server runs on the same processors. Each round says what the server did, what the recorder and the plain
client said of it, in ms, and streamed tokens per second of each client's processor time. The page gets the medians, and
each target with what came of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import machine, write_between
from serving_study.load.point import run_point
from serving_study.load.recording import Recording
from serving_study.load.schedule import SECOND, open_loop_offsets
from tests.truth.frames import MS
from tests.truth.harness import Truth, plan, truth

DOCUMENT = Path(__file__).parents[1] / "docs" / "accuracy.md"
SHOWN = (("ttft_p50", 2), ("ttft_p99", 2), ("inter_chunk_p99", 2), ("client_lag_p99", 2), ("tokens_per_cpu_s", 0))
TARGETS = {
    256: {"ttft_p50": 0.5, "ttft_p99": 2.0, "inter_chunk_p99": 2.0},
    1024: {"ttft_p50": 1.0, "ttft_p99": 5.0, "inter_chunk_p99": 2.0},
}
"""Streams to how far the recorder may be from the truth, in ms, with server and client on the same processors."""
CHEAPER = 5.0
"""Times the tokens per second of processor time of the plain client."""
TITLES = {"ttft_p50": "TTFT p50", "ttft_p99": "TTFT p99", "inter_chunk_p99": "inter-chunk p99"}
PLAIN = Path(__file__).parent / "peers" / "plain_aiohttp.py"
Said = dict[str, float]


def percentiles(ttft: Sequence[float], gaps: Sequence[float]) -> Said:
    """In ms, from ns."""
    return {
        "ttft_p50": float(np.percentile(ttft, 50) / MS),
        "ttft_p99": float(np.percentile(ttft, 99) / MS),
        "inter_chunk_p99": float(np.percentile(gaps, 99) / MS),
    }


def said_by_truth(log: Iterable[dict[str, Any]]) -> Said:
    """From the server's own log: first write less arrival, and the time between writes."""
    entries = list(log)
    gaps = np.concatenate([np.diff(entry["sends"]) for entry in entries])
    return percentiles([entry["sends"][0] - entry["arrival_ns"] for entry in entries], gaps.tolist())


def said_by_recorder(recording: Recording, tokens: int, skip: int = 0) -> Said:
    """From when the kernel received or, where it does not say, the client: as metrics do. The first ``skip`` are left out."""
    part = recording.parts[0]
    order = np.argsort(part.owner, kind="stable")
    order = order[part.owner[order] >= skip]
    arrived = np.where(part.kernel_ns > 0, part.kernel_ns, part.received_ns)
    owner, at = part.owner[order], arrived[order]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    ttft = at[first] - np.frombuffer(recording.sent, dtype=np.int64)[owner[first]]
    gaps = np.diff(at)[np.diff(owner) == 0]
    lag = (part.received_ns - arrived) / MS
    return percentiles(ttft.tolist(), gaps.tolist()) | {
        "tokens_per_cpu_s": tokens / recording.client_cpu_s,
        "client_lag_p50": float(np.percentile(lag, 50)),
        "client_lag_p99": float(np.percentile(lag, 99)),
    }


def closed_loop(server: Truth, streams: int, requests: int, max_tokens: int) -> dict[str, Said]:
    """One round: the recorder, then the plain client, each with the truth of its own requests."""
    planned = plan(server.port, requests, concurrency=streams, max_tokens=max_tokens, connection="pooled")
    recording = run_point(planned, concurrency=streams)
    own = {
        "truth": said_by_truth(server.log().values()),
        "recorder": said_by_recorder(recording, requests * max_tokens),
    }
    with tempfile.NamedTemporaryFile() as file:
        command = [sys.executable, str(PLAIN), server.url, str(streams), str(requests), str(max_tokens), file.name]
        subprocess.run(command, check=True)
        plain = json.loads(Path(file.name).read_text())
    return own | {"truth_of_plain": said_by_truth(server.log().values()), "plain": plain}


def send_lag_ms(server: Truth, rate: float, requests: int) -> float:
    """Open loop: p99 of the time from the intended to the actual send."""
    offsets = open_loop_offsets(rate, requests, "poisson", seed=1)
    planned = plan(server.port, requests, concurrency=None, offsets=offsets, max_tokens=4, deadline_ns=60 * SECOND)
    recording = run_point(planned, concurrency=None)
    lag = np.frombuffer(recording.sent, dtype=np.int64) - np.frombuffer(recording.intended, dtype=np.int64)
    return float(np.percentile(lag, 99) / MS)


def main() -> None:
    """Rounds as asked; the medians go into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found: dict[int, list[dict[str, Said]]] = {streams: [] for streams in args.streams}
    lags = []
    with truth() as server:
        for _ in range(args.rounds):
            for streams in args.streams:
                found[streams].append(closed_loop(server, streams, 3 * streams, args.max_tokens))
                print(json.dumps({"streams": streams, **found[streams][-1]}), flush=True)
            lags.append(send_lag_ms(server, 500, 1500))
    page = table(found, lags, args.max_tokens)
    print(page)
    write_between(DOCUMENT, "accuracy", page)


def table(found: Mapping[int, list[dict[str, Said]]], lags: Sequence[float], tokens: int) -> str:
    """Medians of the rounds, in ms."""
    rounds = len(lags)
    lines = [
        f"{machine()}. {tokens} tokens an answer, three answers a stream, median of {rounds} rounds.",
        "Truth is the server's own log of the same requests; the plain client (aiohttp, JSON parsed as it comes) had its own.",
        "",
        "| streams | | TTFT p50 ms | TTFT p99 ms | inter-chunk p99 ms | client lag p99 ms | tokens per client CPU s |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for streams, results in found.items():
        for who in ("truth", "recorder", "truth_of_plain", "plain"):
            cells = [_cell([result[who].get(name) for result in results], digits) for name, digits in SHOWN]
            lines.append(f"| {streams} | {who.replace('_', ' ')} | {' | '.join(cells)} |")
    lag = statistics.median(lags)
    lines += ["", f"Open loop, 500 requests/s (Poisson): p99 from the intended to the actual send {lag:.2f} ms."]
    return "\n".join([*lines, "", *targets(found)])


def targets(found: Mapping[int, list[dict[str, Said]]]) -> list[str]:
    """A row for each target and load: the median over the rounds of each round's own error, or ratio, and the verdict."""
    lines = [
        "Errors are the recorder's against the truth of the same round, without sign; the ratio is of tokens per client CPU s,",
        "recorder over plain client.",
        "",
        "| streams | what | found | target | |",
        "| ---: | --- | ---: | ---: | --- |",
    ]
    for streams, results in found.items():
        for name, title in TITLES.items():
            error = statistics.median(abs(result["recorder"][name] - result["truth"][name]) for result in results)
            limit = TARGETS.get(streams, {}).get(name)
            asked = "| |" if limit is None else f"{limit:g} ms or less | {_verdict(error <= limit)} |"
            lines.append(f"| {streams} | {title}, error | {error:.2f} ms | {asked}")
        spent = (result["recorder"]["tokens_per_cpu_s"] / result["plain"]["tokens_per_cpu_s"] for result in results)
        ratio = statistics.median(spent)
        lines.append(
            f"| {streams} | tokens per client CPU s, ratio | {ratio:.2f} | {CHEAPER:g} or more | {_verdict(ratio >= CHEAPER)} |"
        )
    return lines


def _verdict(kept: bool) -> str:
    return "met" if kept else "missed"


def _cell(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):,.{digits}f}" if known else ""


if __name__ == "__main__":
    main()
