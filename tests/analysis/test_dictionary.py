"""The data dictionary says what the tables are."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from serving_study.analysis.dictionary import document
from serving_study.analysis.tables import TABLES
from tests.analysis.made_up import write_facts


def test_docs_tables_is_the_page_that_the_tables_give() -> None:
    assert Path("docs/tables.md").read_text(encoding="utf-8") == document(), (
        "write it again: python -m serving_study tables > docs/tables.md"
    )


def test_files_carry_units_and_definitions_of_every_column(tmp_path: Path) -> None:
    write_facts(tmp_path)
    for kind in TABLES:
        schema = pq.read_schema(tmp_path / "tables" / f"{kind.name}.parquet")
        assert schema.names == [c.name for c in kind.columns]
        for column in kind.columns:
            metadata = schema.field(column.name).metadata or {}
            assert metadata[b"unit"].decode() == column.unit
            assert metadata[b"description"].decode() == column.says


def test_every_key_column_tells_what_it_is() -> None:
    for kind in TABLES:
        assert set(kind.key) <= {c.name for c in kind.columns}, kind.name
        assert all(c.says for c in kind.columns)
