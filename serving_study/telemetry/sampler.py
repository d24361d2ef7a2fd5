"""What servers, client and host did while a cell was measured: ``telemetry.parquet``."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving_study.load.raw import TELEMETRY
from serving_study.telemetry.reader import Plan

PERIOD_S = 0.25


class Sampler:
    """Reads beside the measurement from ``__enter__``, which returns after the first readings, to ``__exit__``.

    ``servers`` maps a server to the pid of its process tree; ``counters`` maps it to what reads its engine's counters
    (must survive pickling: ``functools.partial(engine.read_counters, server)``). The readings are made in a process of
    their own, see ``reader.py``; their cost stands among them as the processor time of client ``reader``.
    """

    def __init__(
        self,
        servers: Mapping[str, int],
        counters: Mapping[str, Callable[[], Mapping[str, float]]],
        period_s: float = PERIOD_S,
    ) -> None:
        self._plan = Plan(dict(servers), dict(counters), period_s, os.getpid())
        self._table = TELEMETRY.empty_table()

    def __enter__(self) -> Sampler:
        """Start reading; the first readings have been made when it returns."""
        code = "from serving_study.telemetry.reader import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(self._plan, self._process.stdin)
        self._process.stdin.flush()
        if self._process.stdout.readline() != b"\n":
            raise RuntimeError("the process that reads telemetry did not start; its message is above")
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Stop reading and take the readings; after an error of the measurement there are none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process:
            if kind is not None:
                self._process.kill()
                return
            self._process.stdin.close()
            try:
                times, kinds, values, names = pickle.load(self._process.stdout)
            except EOFError:
                raise RuntimeError("the process that reads telemetry broke off; its message is above") from None
        self._table = _table(times, kinds, values, names)

    @property
    def table(self) -> pa.Table:
        """The readings; empty until the sampler was left."""
        return self._table

    def write(self, path: Path) -> str:
        """Write the readings as Parquet; the file's sha256."""
        pq.write_table(self._table, path, compression="zstd")
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _table(
    times: array[int], kinds: array[int], values: array[float], names: list[tuple[str, str, str, str]]
) -> pa.Table:
    """One row a reading, in the order of the readings."""
    index = pa.array(kinds, pa.int32())
    columns: dict[str, pa.Array[Any]] = {
        "time_ns": pa.array(times, pa.int64()),
        "value": pa.array(values, pa.float64()),
    }
    for position, column in enumerate(("source", "server", "name", "unit")):
        words = pa.array([name[position] for name in names], pa.string())
        columns[column] = words.take(index).dictionary_encode()
    return pa.table([columns[name] for name in TELEMETRY.names], schema=TELEMETRY)
