"""Raw files of a cell as a recorder would leave them, from answers of known timing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving_study.load.raw import CHUNKS, REQUESTS, TELEMETRY
from serving_study.load.record import Cell, Clock, Host, Window

MS = 1_000_000
START = 5_000_000_000_000


def head(
    status: str = "200 OK", kind: str = "text/event-stream", more: str = "Transfer-Encoding: chunked\r\n"
) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}\r\n".encode()


def http_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


END = b"0\r\n\r\n"


def sse(document: Any) -> bytes:
    return (
        b"data: "
        + (document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode())
        + b"\n\n"
    )


def delta(text: str | None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": None, **more}
    return sse({"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def usage(output: int, prompt: int = 20, cached: int | None = 0) -> bytes:
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    counts = {"completion_tokens": output, "prompt_tokens": prompt, "total_tokens": output + prompt, **details}
    return sse({"id": "x", "choices": [], "usage": counts})


def stop(reason: str = "length") -> bytes:
    return sse({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


DONE = sse(b"[DONE]")


@dataclass
class Asked:
    """One request: what was planned, and what arrived as (ns after its intended send, bytes)."""

    arrivals: list[tuple[int, bytes]]
    intended: int = 0
    dialect: str = "openai-chat"
    workload: str = "c1"
    model: str = "m"
    language: str = "en"
    prompt: str = "p-001"
    prompt_text: str = "nonce Why is the sky blue?"
    max_tokens: int = 8
    sent_lag: int | None = 100_000
    kernel_lag: int | None = 50_000
    outcome: str = "complete"
    ended: int | None = None
    server: str = "m"


def stream(
    pieces: list[str], first: int = 50 * MS, gap: int = 10 * MS, tokens: int | None = None, cached: int = 0
) -> list[tuple[int, bytes]]:
    """A role-only event 5 ms before the first piece, then a piece every ``gap``, then finish, usage and [DONE] at once."""
    role = sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
    arrivals = [(first - 5 * MS, head() + http_chunk(role))]
    arrivals += [(first + i * gap, http_chunk(delta(p))) for i, p in enumerate(pieces)]
    tail = stop() + usage(len(pieces) if tokens is None else tokens, cached=cached) + DONE
    return [*arrivals, (first + (len(pieces) - 1) * gap + MS, http_chunk(tail) + END)]


@dataclass
class RawCell:
    """Writes ``requests.parquet``, ``chunks.parquet``, ``telemetry.parquet`` and ``cell.json``."""

    folder: Path
    asked: list[Asked]
    plan: dict[str, Any] = field(default_factory=dict)
    ramp: int = 0
    rate: float | None = None
    concurrency: int | None = 1
    planned: int | None = None
    counters: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]] = field(default_factory=lambda: ({}, {}))
    codes: dict[str, str] = field(default_factory=dict)
    telemetry: list[tuple[int, str, str, str, str, float]] = field(default_factory=list)
    row_group: int = 1000
    ended: int | None = None

    def write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._requests()
        self._chunks()
        readings = zip(*self.telemetry, strict=True) if self.telemetry else [[]] * 6
        columns = [
            pa.array(list(c)) if self.telemetry else pa.array([], f.type)
            for c, f in zip(readings, TELEMETRY, strict=True)
        ]
        pq.write_table(
            pa.Table.from_arrays(columns, TELEMETRY.names).cast(TELEMETRY), self.folder / "telemetry.parquet"
        )
        file = self.folder / "cell.json"
        file.write_text(self._cell().model_dump_json())
        return file

    def _requests(self) -> None:
        rows = []
        for number, a in enumerate(self.asked):
            intended = START + a.intended
            body = json.dumps({"model": a.model, "messages": [{"role": "user", "content": a.prompt_text}]}).encode()
            sent = None if a.sent_lag is None else intended + a.sent_lag
            rows.append(
                {
                    "request": number,
                    "workload": a.workload,
                    "model": a.model,
                    "language": a.language,
                    "prompt": a.prompt,
                    "nonce": "nonce",
                    "server": a.server,
                    "dialect": a.dialect,
                    "connection": "fresh",
                    "user": 0,
                    "worker": 0,
                    "max_tokens": a.max_tokens,
                    "payload": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n" + body,
                    "intended_ns": intended,
                    "connect_ns": None if sent is None else sent - 30_000,
                    "connected_ns": None if sent is None else sent - 10_000,
                    "sent_ns": sent,
                    "ended_ns": intended + self._end(a),
                    "outcome": a.outcome,
                }
            )
        pq.write_table(pa.Table.from_pylist(rows, REQUESTS), self.folder / "requests.parquet", row_group_size=100)

    def _chunks(self) -> None:
        rows = [
            {
                "request": number,
                "received_ns": START + a.intended + at + (a.kernel_lag or 0),
                "kernel_ns": None if a.kernel_lag is None else START + a.intended + at,
                "data": data,
            }
            for number, a in enumerate(self.asked)
            for at, data in a.arrivals
        ]
        rows.sort(key=lambda r: r["received_ns"])
        pq.write_table(
            pa.Table.from_pylist(rows, CHUNKS), self.folder / "chunks.parquet", row_group_size=self.row_group
        )

    def _end(self, a: Asked) -> int:
        return a.ended if a.ended is not None else (a.arrivals[-1][0] if a.arrivals else MS)

    def _cell(self) -> Cell:
        points: dict[str, set[str]] = {}
        for a in self.asked:
            points.setdefault(a.workload, set()).add(a.model)
        windows = []
        for workload, models in points.items():
            mine = [a for a in self.asked if a.workload == workload]
            start = START + min(a.intended for a in mine)
            windows.append(
                Window(
                    workload=workload,
                    models=tuple(sorted(models)),
                    started_ns=start,
                    measured_from_ns=start + self.ramp,
                    ended_ns=START + max(a.intended + self._end(a) for a in mine) if self.ended is None else self.ended,
                    concurrency=None if self.rate else self.concurrency,
                    rate=self.rate,
                    asked=len(mine) if self.planned is None else self.planned,
                    counters_before=self.counters[0],
                    counters_after=self.counters[1],
                    client_cpu_s=0.25,
                )
            )
        clock = Clock(monotonic_ns=START, utc_ns=START)
        return Cell(
            study="s",
            deployment="d",
            language=self.asked[0].language,
            replicate=1,
            life="life-1",
            plan=self.plan,
            prompts_sha256="",
            code="",
            commit=None,
            command=(),
            servers={},
            host=Host(name="h", system="", processor="", cores=2, memory_bytes=1, accelerators=(), python=""),
            clock_start=clock,
            clock_end=clock,
            warmup_requests={},
            windows=tuple(windows),
            codes=self.codes,
            files={
                n: hashlib.sha256((self.folder / n).read_bytes()).hexdigest()
                for n in ("requests.parquet", "chunks.parquet")
            },
        )


def many(folder: Path, requests: int, tokens: int, group: int = 65_536) -> Path:
    """A large cell in little time: every stream says the same, each under its own id; chunks of a request are adjacent."""
    file = RawCell(folder, [Asked([], intended=i * MS, max_tokens=tokens) for i in range(requests)]).write()
    pieces = [" the", "나는 ", " said:\n", "天", " \"so\"", " x"]  # fmt: skip
    with pq.ParquetWriter(folder / "chunks.parquet", CHUNKS, compression="zstd") as writer:
        numbers: list[int] = []
        times: list[int] = []
        data: list[bytes] = []
        for number in range(requests):
            more = {"created": 1_790_000_000, "id": f"chatcmpl-{number:032}", "system_fingerprint": "b1-abc"}
            body = [{"choices": [{"index": 0, "delta": {"content": t}, "finish_reason": None}], **more} for t in pieces]
            events = [http_chunk(sse(document)) for document in body]
            chunks = [
                head(),
                *(events[i % len(events)] for i in range(tokens)),
                http_chunk(stop() + usage(tokens) + DONE) + END,
            ]
            numbers += [number] * len(chunks)
            times += [START + (number + 50 + 10 * i) * MS for i in range(len(chunks))]
            data += chunks
            if len(numbers) >= group or number == requests - 1:
                columns = [pa.array(numbers, pa.int32()), pa.array(times), pa.array(times), pa.array(data, pa.binary())]
                writer.write_table(pa.Table.from_arrays(columns, schema=CHUNKS))
                numbers, times, data = [], [], []
    return file
