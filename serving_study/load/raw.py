"""The raw files of a cell: lossless, and owned here.

``requests.parquet`` has one row a request, ``chunks.parquet`` one row for bytes that arrived together, and
``telemetry.parquet`` one row a reading. All times are integer nanoseconds of CLOCK_MONOTONIC of the measuring host;
``cell.json`` ties them to UTC. A writer that breaks a schema fails.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def _field(name: str, kind: pa.DataType, unit: str, says: str, nullable: bool = False) -> pa.Field[Any]:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": says})


_NAME = pa.dictionary(pa.int32(), pa.string())

REQUESTS = pa.schema(
    [
        _field("request", pa.int32(), "1", "number of the request inside its cell"),
        _field("workload", _NAME, "name", "workload of the study"),
        _field("model", _NAME, "name", "model asked"),
        _field("language", _NAME, "name", "language of the prompt"),
        _field("prompt", _NAME, "name", "id of the prompt"),
        _field(
            "nonce",
            pa.string(),
            "text",
            "start of the prompt that defeats prefix caches; empty when the cache is measured",
        ),
        _field("server", _NAME, "name", "server asked"),
        _field("dialect", _NAME, "name", "how to read the answer: openai-chat, openai-completions or ollama"),
        _field("connection", _NAME, "name", "fresh or pooled: which one ran"),
        _field("user", pa.int32(), "1", "closed loop: number of the user; open loop: -1"),
        _field("worker", pa.int16(), "1", "worker process of the client"),
        _field("max_tokens", pa.int32(), "token", "output tokens asked for"),
        _field("payload", pa.binary(), "byte", "request as written to the wire, the bearer key left out"),
        _field("intended_ns", pa.int64(), "ns", "when the schedule wanted it sent"),
        _field("connect_ns", pa.int64(), "ns", "when connecting began; null on a pooled connection in use again", True),
        _field("connected_ns", pa.int64(), "ns", "when the connection stood", True),
        _field("sent_ns", pa.int64(), "ns", "just before the first byte was written", True),
        _field("ended_ns", pa.int64(), "ns", "when the recorder was done with it"),
        _field(
            "outcome",
            _NAME,
            "name",
            "complete, deadline, refused, reset, closed, tls, overflow, exhausted (the client had no file or port left) or interrupted",
        ),
    ]
)

CHUNKS = pa.schema(
    [
        _field("request", pa.int32(), "1", "request that the bytes answer"),
        _field(
            "received_ns",
            pa.int64(),
            "ns",
            "when the client read them; they arrived at kernel_ns where the transport says it",
        ),
        _field(
            "kernel_ns", pa.int64(), "ns", "when the kernel received them; null where the transport cannot say", True
        ),
        _field("data", pa.binary(), "byte", "bytes as they came off the wire, status line and headers included"),
    ]
)

TELEMETRY = pa.schema(
    [
        _field("time_ns", pa.int64(), "ns", "when it was read"),
        _field("source", _NAME, "name", "process, nvml, engine, client or host"),
        _field("server", _NAME, "name", "server it is about; empty for the host or the client"),
        _field("name", _NAME, "name", "what was read, e.g. pss, rss, cpu_time, kv_used, running, waiting"),
        _field("unit", _NAME, "name", "unit of the value"),
        _field("value", pa.float64(), "see unit", "the reading"),
    ]
)
