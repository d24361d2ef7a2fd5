"""Raw files of a cell to one row a request and one row a point and metric: a pure function of those files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from serving_study.load.raw import REQUESTS, TELEMETRY
from serving_study.load.record import Cell, Window
from serving_study.metrics.arrivals import wires
from serving_study.metrics.flow import Flow, Key, flows
from serving_study.metrics.payload import prompt_characters
from serving_study.metrics.point import Judging, Point, Readings
from serving_study.metrics.registry import REQUEST
from serving_study.metrics.request import Request, Span, request
from serving_study.metrics.rows import life_rows, point_rows, points
from serving_study.metrics.tables import IDENTITY, METRICS, POINTS
from serving_study.study.errors import StudyError

_ROWS = 4096
"""Requests turned into Arrow at once."""


class Derived(NamedTuple):
    """What a cell's raw files say."""

    cell: Cell
    metrics: pa.Table
    each: tuple[Point, ...]
    readings: tuple[Readings, ...]

    @property
    def points(self) -> pa.Table:
        """One row a point and metric."""
        rows = [row for point in self.each for row in point_rows(self.cell, point)]
        return pa.Table.from_pylist(rows + list(life_rows(self.cell, self.readings)), POINTS)


def derive(cell_file: Path, judging: Judging) -> Derived:
    """Read the raw files beside ``cell.json``. Raises StudyError if one is missing or not what its schema says."""
    cell = read_cell(cell_file)
    folder = cell_file.parent
    windows = {(w.workload, m): w for w in cell.windows for m in w.models}
    requests = _table(folder / "requests.parquet", REQUESTS, [n for n in REQUESTS.names if n != "payload"])
    gathered = flows(windows, requests)
    passing = _requests(folder, requests, windows)
    batches = list(_batches(passing, gathered))
    metrics = pa.Table.from_batches(batches, METRICS).unify_dictionaries().sort_by("request").combine_chunks()
    readings = _readings(folder / "telemetry.parquet")
    return Derived(cell, metrics, tuple(points(cell, metrics, gathered, readings, judging)), readings)


def read_cell(file: Path) -> Cell:
    """``cell.json``, checked."""
    try:
        return Cell.model_validate_json(file.read_bytes())
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror}); give the cell.json of a measured cell") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StudyError(f"{file}: {where}: {first['msg']}; measure the cell again") from error


def _table(file: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    try:
        found = pq.read_schema(file)
        if not found.equals(schema):
            raise StudyError(f"{file}: its columns are not those of the raw schema; measure the cell again")
        return pq.read_table(file, columns=columns, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(f"{file}: cannot be read ({error}); measure the cell again") from error


def _requests(folder: Path, table: pa.Table, windows: Mapping[Key, Window]) -> Iterator[Request]:
    """Every request of the cell: first those that received anything, as their last bytes are read, then the others."""
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in table.column_names}
    index: dict[int, int] = {number: i for i, number in enumerate(columns["request"])}
    spans = {key: Span(w.measured_from_ns, w.ended_ns) for key, w in windows.items()}
    lengths = _prompt_lengths(folder / "requests.parquet")
    waiting = set(index)

    def row(number: int) -> tuple[dict[str, Any], int | None, Span | None]:
        at = index[number]
        found = {name: column[at] for name, column in columns.items()}
        return found, lengths[at], spans.get((found["workload"], found["model"]))

    for number, wire in wires(folder / "chunks.parquet"):
        if number not in waiting:
            raise StudyError(f"{folder / 'chunks.parquet'}: request {number} is not in requests.parquet; measure again")
        waiting.remove(number)
        yield request(*row(number), wire)
    for number in sorted(waiting):
        yield request(*row(number))


def _prompt_lengths(file: Path) -> list[int | None]:
    with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as raw:
        batches = raw.iter_batches(_ROWS, columns=["payload"])
        return [prompt_characters(payload.as_py() or b"") for b in batches for payload in b.column("payload")]


def _batches(passing: Iterator[Request], gathered: Mapping[Key, Flow]) -> Iterator[pa.RecordBatch]:
    """One row a request, in the order in which they pass; what their point gathers is gathered on the way."""
    rows: list[tuple[Any, ...]] = []
    for one in passing:
        flow = gathered.get((str(one.row["workload"]), str(one.row["model"])))
        if flow is not None and one.error is None:
            flow.add(one)
        rows.append((*(one.row[f.name] for f in IDENTITY), *(m.read(one) for m in REQUEST.values())))
        if len(rows) == _ROWS:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [_array(column, f) for column, f in zip(columns, METRICS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=METRICS)


def _array(column: tuple[Any, ...], kind: pa.Field[Any]) -> pa.Array[Any]:
    array: pa.Array[Any] = pa.array(column, kind.type)
    return array


def _readings(file: Path) -> tuple[Readings, ...]:
    """Telemetry as one series a source, server and name; none where nothing was read."""
    if not file.exists():
        return ()
    table = _table(file, TELEMETRY)
    series: dict[tuple[str, str, str], list[int]] = {}
    keys = zip(*(table[name].to_pylist() for name in ("source", "server", "name")), strict=True)
    for i, key in enumerate(keys):
        series.setdefault(key, []).append(i)
    times, values = table["time_ns"].to_numpy(), table["value"].to_numpy()
    found = []
    for (source, server, name), places in sorted(series.items()):
        at = np.array(places)
        at = at[np.argsort(times[at], kind="stable")]
        found.append(Readings(source, server, name, times[at], values[at]))
    return tuple(found)
