"""The derived tables: their schemas, and how they are written so that the same raw files give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving_study.metrics.registry import REQUEST

_NAME = pa.dictionary(pa.int32(), pa.string())
_KINDS: dict[str, pa.DataType] = {
    "finish": pa.string(),
    "error": pa.string(),
    "measured": pa.bool_(),
    "text_language_ok": pa.bool_(),
}


def _field(name: str, kind: pa.DataType, unit: str, says: str, nullable: bool = False) -> pa.Field[Any]:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": says})


IDENTITY = [
    _field("request", pa.int32(), "1", "number of the request inside its cell"),
    _field("workload", _NAME, "name", "workload of the study"),
    _field("model", _NAME, "name", "model asked"),
    _field("language", _NAME, "name", "language of the prompt"),
    _field("prompt", _NAME, "name", "id of the prompt"),
    _field("server", _NAME, "name", "server asked"),
    _field("user", pa.int32(), "1", "closed loop: number of the user; open loop: -1"),
    _field("max_tokens", pa.int32(), "token", "output tokens asked for"),
    _field("intended_ns", pa.int64(), "ns", "when the schedule wanted it sent"),
    _field("sent_ns", pa.int64(), "ns", "just before the first byte was written", True),
    _field("ended_ns", pa.int64(), "ns", "when the recorder was done with it"),
]

METRICS = pa.schema(
    [
        *IDENTITY,
        *(
            _field(m.name, _KINDS.get(m.name, pa.int64()), m.unit, m.title, m.name != "measured")
            for m in REQUEST.values()
        ),
    ]
)
"""``metrics.parquet``: one row a request, one column a request metric."""

POINTS = pa.schema(
    [
        _field("study", _NAME, "name", "study"),
        _field("deployment", _NAME, "name", "deployment"),
        _field("engine", _NAME, "name", "engine"),
        _field("language", _NAME, "name", "language"),
        _field("replicate", pa.int32(), "1", "replicate"),
        _field("life", _NAME, "name", "id of the server life that was measured"),
        _field("model", _NAME, "name", "model; * for what belongs to the whole deployment"),
        _field("workload", _NAME, "name", "workload; * for what belongs to the whole life"),
        _field("metric", _NAME, "name", "name of the metric, defined in docs/metrics.md"),
        _field("value", pa.float64(), "see unit", "the value; null where the reason says why", True),
        _field("unit", _NAME, "name", "unit of the value"),
        _field("better", _NAME, "name", "lower, higher or neither is better"),
        _field("n", pa.int32(), "1", "requests (or readings) behind the value"),
        _field("needs", pa.int32(), "1", "smallest n at which it is shown"),
        _field("reason", _NAME, "name", "why there is no value", True),
        _field("codes", _NAME, "name", "validity codes of the point, joined by commas"),
        _field("reasons", _NAME, "text", "JSON object of those codes and their reasons"),
        _field("fatal", pa.bool_(), "1", "one of the codes is fatal: left out of comparisons"),
    ]
)
"""``points.parquet``: one row a point and metric."""


def write(table: pa.Table, path: Path) -> None:
    """Write a table with options that are all said, into a file that appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    pq.write_table(
        table,
        part,
        row_group_size=1 << 20,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        data_page_version="1.0",
    )
    part.replace(path)
