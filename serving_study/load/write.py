"""Raw files: written between points, in the schema of ``raw``, never while one is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from serving_study.load.raw import CHUNKS, REQUESTS
from serving_study.load.recording import NEVER, Part, Recording

ROWS = 65_536
"""Chunks of one row group: bounds what a reader and this writer hold at a time."""


class RawWriter:
    """``requests.parquet`` and ``chunks.parquet`` of one cell, a point at a time.

    All chunks of a request are adjacent and in order of arrival, requests in the order of the schedule.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {"requests.parquet": REQUESTS, "chunks.parquet": CHUNKS}
        self._folder = folder
        self._writers = {
            name: pq.ParquetWriter(folder / name, schema, compression="zstd", compression_level=1)
            for name, schema in self._files.items()
        }

    def add(self, recording: Recording) -> None:
        """Append a point; its arrays may be let go afterwards."""
        self._write("requests.parquet", requests_table(recording))
        for table in chunk_tables(recording):
            self._write("chunks.parquet", table)

    def close(self) -> dict[str, str]:
        """Finish both files; file name to sha256."""
        for writer in self._writers.values():
            writer.close()
        digests = {}
        for name in self._files:
            with (self._folder / name).open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return digests

    def remove(self) -> None:
        """Leave nothing behind."""
        for name in self._files:
            (self._folder / name).unlink(missing_ok=True)

    def _write(self, name: str, table: pa.Table) -> None:
        for field in table.schema:
            if not field.nullable and table.column(field.name).null_count:
                raise ValueError(f"{name}: column {field.name} must hold no null")
        self._writers[name].write_table(table)


def requests_table(recording: Recording) -> pa.Table:
    """One row for each request of the schedule."""
    planned = recording.planned
    columns: dict[str, Any] = {
        name: [getattr(each, name) for each in planned]
        for name in REQUESTS.names
        if planned and hasattr(planned[0], name)
    }
    columns |= {
        "connection": recording.connection,
        "worker": recording.worker,
        "intended_ns": recording.intended,
        "connect_ns": _nullable(np.frombuffer(recording.connect, dtype=np.int64), NEVER),
        "connected_ns": _nullable(np.frombuffer(recording.connected, dtype=np.int64), NEVER),
        "sent_ns": _nullable(np.frombuffer(recording.sent, dtype=np.int64), NEVER),
        "ended_ns": recording.ended,
        "outcome": recording.outcome,
    }
    arrays = [pa.array(columns.get(field.name, []), type=field.type) for field in REQUESTS]
    return pa.Table.from_arrays(arrays, schema=REQUESTS)


def chunk_tables(recording: Recording) -> Iterator[pa.Table]:
    """The chunks in tables of at most ``ROWS`` rows, so that sorting them by request needs no second copy of all."""
    numbers = np.array([each.request for each in recording.planned], dtype=np.int32)
    for part in recording.parts:
        order = np.argsort(part.owner, kind="stable")
        views = [memoryview(block) for block in part.blocks]
        for first in range(0, len(order), ROWS):
            yield _chunk_table(part, order[first : first + ROWS], views, numbers)


def _chunk_table(
    part: Part, rows: npt.NDArray[np.int64], views: list[memoryview], numbers: npt.NDArray[np.int32]
) -> pa.Table:
    begins, ends = part.begin[rows], part.end[rows]
    places = zip(part.block[rows].tolist(), begins.tolist(), ends.tolist(), strict=True)
    data = b"".join([views[block][begin:end] for block, begin, end in places])
    bounds = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(ends - begins, out=bounds[1:])
    arrays: list[pa.Array[Any]] = [
        pa.array(numbers[part.owner[rows]]),
        pa.array(part.received_ns[rows]),
        _nullable(part.kernel_ns[rows], 0),
        pa.BinaryArray.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(bounds.tobytes()), pa.py_buffer(data)]),
    ]
    return pa.Table.from_arrays(arrays, schema=CHUNKS)


def _nullable(values: npt.NDArray[np.int64], none: int) -> pa.Array[Any]:
    return pa.array(values, mask=values == none)
