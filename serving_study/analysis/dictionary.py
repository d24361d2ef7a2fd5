"""``docs/tables.md``: every column of every table, made from the tables' own definitions."""

from __future__ import annotations

from collections.abc import Iterator

from serving_study.analysis.tables import TABLES

_OPENING = """# Tables

`results/STUDY/tables/` holds each table as Parquet (units and definitions in the schema's metadata) and as CSV. Numbers have
nine significant digits; times are nanoseconds and memory is bytes. What the metrics mean: [metrics.md](metrics.md); how the
comparisons are made: [statistics.md](statistics.md).

This page is generated: `python -m serving_study tables > docs/tables.md`.
"""


def document() -> str:
    """The page, with a line's end at its end."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _OPENING
    for kind in TABLES:
        yield f"## {kind.name}\n\nOne row: {kind.row}. Rows differ in {', '.join(f'`{k}`' for k in kind.key)}.\n"
        yield "| column | type | unit | definition |\n|---|---|---|---|"
        for c in kind.columns:
            null = ", may be null" if c.nullable else ""
            yield f"| `{c.name}` | {c.kind}{null} | {c.unit} | {c.says.replace('|', ', ')} |"
        yield ""
