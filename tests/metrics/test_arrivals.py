"""Chunks become wires whatever batches they are read in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_cell import MS, Asked, RawCell, many, stream

from serving_study.load.raw import CHUNKS
from serving_study.metrics import arrivals
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.study.errors import StudyError


@pytest.mark.parametrize("rows", [1, 2, 7, 50])
def test_requests_that_lie_across_batches_are_read_whole(rows, tmp_path, monkeypatch):
    cell = RawCell(
        tmp_path, [Asked(stream(list("abcdef")), intended=i * 5 * MS) for i in range(15)], row_group=40
    ).write()
    whole = derive(cell, Judging())
    monkeypatch.setattr(arrivals, "_MOST_ROWS", rows)
    assert derive(cell, Judging()).metrics.equals(whole.metrics)


def test_large_chunks_are_read_few_at_a_time(tmp_path, monkeypatch):
    cell = many(tmp_path, 20, 50)
    monkeypatch.setattr(arrivals, "_MOST_BYTES", 1000)
    assert derive(cell, Judging()).metrics["error"].null_count == 20


def test_a_cell_that_received_nothing_is_read(tmp_path):
    cell = RawCell(tmp_path, [Asked([], outcome="refused", sent_lag=None) for _ in range(3)]).write()
    assert derive(cell, Judging()).metrics["error"].to_pylist() == ["refused"] * 3


def test_a_file_of_another_schema_is_refused_with_what_to_do(tmp_path):
    cell = RawCell(tmp_path, [Asked(stream(["a"]))]).write()
    pq.write_table(pa.table({"request": [1]}), tmp_path / "chunks.parquet")
    with pytest.raises(StudyError, match=r"chunks\.parquet.*measure the cell again"):
        derive(cell, Judging())
    (tmp_path / "chunks.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StudyError, match="cannot be read"):
        derive(cell, Judging())
    (tmp_path / "chunks.parquet").unlink()
    with pytest.raises(StudyError, match="cannot be read"):
        derive(cell, Judging())


def test_chunks_of_a_request_that_was_not_asked_are_refused(tmp_path):
    cell = RawCell(tmp_path, [Asked(stream(["a"]))]).write()
    table = pq.read_table(tmp_path / "chunks.parquet")
    strange = table.set_column(0, CHUNKS.field("request"), pa.array([9] * table.num_rows, pa.int32()))
    pq.write_table(strange, tmp_path / "chunks.parquet")
    with pytest.raises(StudyError, match=r"request 9 is not in requests\.parquet"):
        derive(cell, Judging())
