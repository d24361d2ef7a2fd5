"""``chunks.parquet`` to one wire a request, in batches, so that memory does not grow with the number of chunks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serving_study.load.raw import CHUNKS
from serving_study.metrics.wire import Times, Wire
from serving_study.study.errors import StudyError

_MOST_ROWS = 32_768
_MOST_BYTES = 32 << 20
"""Of the chunks held at once; fewer rows where chunks are large."""


def wires(path: Path) -> Iterator[tuple[int, Wire]]:
    """Each request that received anything and its wire, as soon as its last chunk was read.

    Chunks of one request keep the order of the file; those of several requests may be mixed in any way. Raises StudyError
    if the file is not what the raw schema says.
    """
    last = _last_rows(path)
    open_pieces: dict[int, list[pa.RecordBatch]] = {}
    start = 0
    for batch in _batches(path, None):
        numbers = batch.column("request").to_numpy()
        order = np.argsort(numbers, kind="stable")
        batch = batch.take(order)
        numbers = numbers[order]
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        bounds = [0, *cuts.tolist(), len(numbers)]
        start += len(numbers)
        whole = _Columns(batch)
        for a, b in pairwise(bounds):
            number = int(numbers[a])
            if last[number] >= start:
                open_pieces.setdefault(number, []).append(_compact(batch.slice(a, b - a)))
            elif number in open_pieces:
                pieces = pa.Table.from_batches([*open_pieces.pop(number), batch.slice(a, b - a)])
                joined = pieces.combine_chunks().to_batches()[0]
                yield number, _Columns(joined).wire(0, joined.num_rows)
            else:
                yield number, whole.wire(a, b)


def _last_rows(path: Path) -> NDArray[np.int64]:
    """Number of the last row of each request."""
    last = np.full(1, -1, np.int64)
    start = 0
    for batch in _batches(path, ["request"]):
        numbers = batch.column("request").to_numpy()
        most = int(numbers.max())
        if most >= len(last):
            last = np.concatenate((last, np.full(max(most + 1 - len(last), len(last)), -1, np.int64)))
        last[numbers] = np.arange(start, start + len(numbers))
        start += len(numbers)
    return last


def _batches(path: Path, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            if not file.schema_arrow.equals(CHUNKS):
                raise StudyError(f"{path}: its columns are not those of chunks.parquet; measure the cell again")
            yield from (b for b in file.iter_batches(_rows(file.metadata), columns=columns) if b.num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); measure the cell again") from error


def _rows(file: pq.FileMetaData) -> int:
    """Rows to hold at once, by the row group whose rows are the largest."""
    groups = [file.row_group(i) for i in range(file.num_row_groups)]
    largest = max((g.total_byte_size / max(g.num_rows, 1) for g in groups), default=0)
    return max(1, min(_MOST_ROWS, int(_MOST_BYTES / max(largest, 1))))


def _compact(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy that does not hold on to the memory of the batch that it was cut from."""
    return batch.take(np.arange(batch.num_rows))


class _Columns:
    """A batch's columns as plain memory, so that a request's bytes are one slice."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.received: Times = batch.column("received_ns").to_numpy()
        kernel = batch.column("kernel_ns")
        self.known = np.asarray(kernel.is_valid().to_numpy(zero_copy_only=False))
        self.kernel: Times = kernel.fill_null(0).to_numpy()
        data = batch.column("data")
        _, offsets, octets = data.buffers()
        self.octets = memoryview(octets or b"")
        count = batch.num_rows + 1
        self.offsets = np.frombuffer(memoryview(offsets or b""), np.int32, count, data.offset * 4).tolist()

    def wire(self, a: int, b: int) -> Wire:
        """The wire of rows ``a`` to ``b``."""
        first = self.offsets[a]
        ends = [end - first for end in self.offsets[a + 1 : b + 1]]
        kernel = self.kernel[a:b] if self.known[a:b].all() else None
        return Wire(bytes(self.octets[first : self.offsets[b]]), ends, self.received[a:b], kernel)
