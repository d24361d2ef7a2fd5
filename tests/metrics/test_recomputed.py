"""The derived numbers equal those of a slow, plain recomputation from the raw files, written without the code under test."""

from __future__ import annotations

import io
import json
import random
from http.client import HTTPResponse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from raw_cell import DONE, END, MS, Asked, RawCell, delta, head, http_chunk, sse, stop, usage

from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging


def body_of(wire: bytes) -> bytes:
    """What the standard library reads of an answer, whole or not."""
    if b"\r\n\r\n" not in wire:
        return b""
    answer = HTTPResponse(SimpleNamespace(makefile=lambda *_: io.BytesIO(wire)))
    answer.begin()
    body = b""
    try:
        while part := answer.read1():
            body += part
    except Exception:  # cut in the middle of a chunk: what came before counts
        pass
    return body


def plainly(chunks: list[dict]) -> list[tuple[int, str, dict]]:
    """(time, text, usage) of each event: the body is read anew after each arrival, and new events are those that it closed."""
    wire, seen, found = b"", 0, []
    for chunk in chunks:
        wire += chunk["data"]
        closed = body_of(wire).split(b"\n\n")[:-1]
        for event in closed[seen:]:
            if event == b"data: [DONE]" or not event.startswith(b"data: "):
                continue
            document = json.loads(event[6:])
            text = "".join(c["delta"].get("content") or "" for c in document["choices"])
            found.append((chunk["kernel_ns"], text, document.get("usage") or {}))
        seen = len(closed)
    return found


@pytest.fixture(scope="module")
def cell(tmp_path_factory) -> Path:
    """Two workloads on two models, chunked at random, some answers with their events cut or bundled."""
    draw = random.Random(7)
    asked = [
        Asked(arrivals(draw), intended=i * apart * MS, workload=workload, model=f"m{i % 2}", prompt=f"p-{i}")
        for workload, apart in (("c1", 130), ("c4", 40))
        for i in range(24)
    ]
    return RawCell(tmp_path_factory.mktemp("cell"), asked, ramp=100 * MS, row_group=50).write()


def arrivals(draw: random.Random) -> list[tuple[int, bytes]]:
    words = [draw.choice(["안녕 ", "the ", "天", "a\nb", "🙂", '"q"']) for _ in range(draw.randrange(2, 8))]
    events = [sse({"choices": [{"delta": {"role": "assistant"}}]}), *map(delta, words)]
    body = b"".join([*events, stop(), usage(len(words) + draw.randrange(3)), DONE])
    cuts = sorted(draw.sample(range(len(body)), draw.randrange(4, 30)))
    wire = (
        head()
        + b"".join(http_chunk(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True) if b > a)
        + END
    )
    cuts = sorted(draw.sample(range(1, len(wire)), draw.randrange(3, 25)))
    parts = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    times = sorted(draw.sample(range(20 * MS, 110 * MS), len(parts)))
    return list(zip(times, parts, strict=True))


def test_each_request_equals_the_plain_reading(cell):
    rows = derive(cell, Judging()).metrics.to_pylist()
    chunks = pq.read_table(cell.parent / "chunks.parquet").to_pylist()
    for row in rows:
        events = plainly([c for c in chunks if c["request"] == row["request"]])
        texts = [(at, text) for at, text, _ in events if text]
        tokens = next(u["completion_tokens"] for *_, u in events if u)
        first, last = texts[0][0], texts[-1][0]
        assert row["ttft"] == first - row["intended_ns"]
        assert row["e2e"] == last - row["intended_ns"]
        assert row["ttfe"] == events[0][0] - row["intended_ns"]
        assert row["tpot"] == pytest.approx((last - first) / (tokens - 1), abs=0.5)
        assert row["output_tokens"] == tokens
        assert row["output_chars"] == sum(len(t) for _, t in texts)
        assert row["chunks"] == len({at for at, _ in texts})


def test_each_point_equals_the_plain_reading(cell):
    points = {(r["workload"], r["model"], r["metric"]): r["value"] for r in derive(cell, Judging()).points.to_pylist()}
    requests = pq.read_table(cell.parent / "requests.parquet").to_pylist()
    chunks = pq.read_table(cell.parent / "chunks.parquet").to_pylist()
    for window in json.loads(cell.read_text())["windows"]:
        start, end = window["measured_from_ns"], window["ended_ns"]
        for model in window["models"]:
            mine = [r for r in requests if (r["workload"], r["model"]) == (window["workload"], model)]
            tokens, ttft, gaps = 0.0, [], []
            for request in mine:
                events = plainly([c for c in chunks if c["request"] == request["request"]])
                texts = [(at, text) for at, text, _ in events if text]
                count = next(u["completion_tokens"] for *_, u in events if u)
                inside = sum(len(t) for at, t in texts if start <= at <= end)
                tokens += count * inside / sum(len(t) for _, t in texts)
                if start <= request["intended_ns"] <= end:
                    ttft.append(texts[0][0] - request["intended_ns"])
                    gaps += np.diff(sorted({at for at, _ in texts})).tolist()
            key = window["workload"], model
            assert points[*key, "output_throughput"] == pytest.approx(tokens / (end - start) * 1e9, rel=1e-9)
            assert points[*key, "ttft_mean"] == pytest.approx(np.mean(ttft), rel=1e-9)
            assert points[*key, "inter_chunk_mean"] == pytest.approx(np.mean(gaps), rel=1e-9)
            if len(ttft) >= 11:
                assert points[*key, "ttft_p50"] == pytest.approx(np.percentile(ttft, 50), rel=1e-9)
