"""What a table is: columns with types, units and definitions; reading and writing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

DIGITS = 9
"""Significant digits that are kept: logarithms and exponentials differ in the last bits between processors."""
Kind = Literal["text", "integer", "number", "truth"]
_ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    unit: str
    says: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class TableKind:
    """One table: what a row is, the columns that tell rows apart, and all columns."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema with units and definitions in the fields' metadata."""
        return pa.schema(
            [
                pa.field(c.name, _ARROW[c.kind], c.nullable, metadata={"unit": c.unit, "description": c.says})
                for c in self.columns
            ]
        )

    def frame(self, rows: Iterable[Mapping[Any, Any]]) -> pd.DataFrame:
        """Rows as a frame in the order of the key; a missing column is an error, a missing value is None."""
        rows = [{c.name: _plain(r[c.name], c.kind) for c in self.columns} for r in rows]
        table = pa.Table.from_pylist(rows, schema=self.schema).sort_by([(k, "ascending") for k in self.key])
        return _to_frame(table)

    def write(self, frame: pd.DataFrame, folder: Path) -> None:
        """``NAME.parquet`` and ``NAME.csv``; the same rows give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(
            frame[[c.name for c in self.columns]], schema=self.schema, preserve_index=False
        ).replace_schema_metadata(None)
        pq.write_table(table, folder / f"{self.name}.parquet", compression="zstd")
        _to_frame(table).to_csv(folder / f"{self.name}.csv", index=False, lineterminator="\n")

    def read(self, folder: Path) -> pd.DataFrame:
        """The table as it was written below ``folder``."""
        return _to_frame(pq.read_table(folder / f"{self.name}.parquet"))


def significant(value: float) -> float:
    """``value`` with as many significant digits as are kept."""
    return float(f"{value:.{DIGITS}g}")


def _to_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(integer_object_nulls=True)
    return frame


def _plain(value: Any, kind: Kind) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    match kind:
        case "number":
            return significant(float(value))
        case "integer":
            return int(value)
        case "truth":
            return bool(value)
        case "text":
            return str(value)
