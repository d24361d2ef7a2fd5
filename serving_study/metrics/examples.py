"""What a server said where it did not answer as asked: a little of one such answer for each error."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving_study.metrics.wire import NONE, Wire, reply

SHOWN = 200
"""Characters of an answer."""
_AT_THE_END = frozenset(("stream-error", "truncated", "unfinished"))
"""Errors of which the end of an answer tells more than its beginning."""
_NO_TEXT = frozenset(("encoded",))


def examples(chunks: Path, metrics: pa.Table) -> dict[str, str]:
    """Error to what the first such request got, one line that is safe to print; errors without an answer are left out."""
    first: dict[str, int] = {}
    for number, error in zip(metrics["request"].to_pylist(), metrics["error"].to_pylist(), strict=True):
        if error is not None and error not in _NO_TEXT:
            first.setdefault(str(error), int(number or 0))
    if not first:
        return {}
    numbers = pa.array(list(first.values()), pa.int32())
    rows = pq.read_table(chunks, filters=pc.field("request").isin(numbers), partitioning=None)
    found = {}
    for error, number in first.items():
        own = rows.filter(pc.equal(rows["request"], pa.scalar(number, pa.int32())))["data"]
        data = b"".join(part for part in own.to_pylist() if part)
        if said := printable(_body(data), error in _AT_THE_END):
            found[error] = said
    return dict(sorted(found.items()))


def _body(data: bytes) -> bytes:
    got = reply(Wire(data, [len(data)], NONE, None))
    return data if got.status is None else got.body


def printable(data: bytes, end: bool = False) -> str:
    """The beginning of a text, or its end; whatever might move a cursor or change a colour is escaped."""
    text = (data[-4 * SHOWN :] if end else data[: 4 * SHOWN]).decode("utf-8", "replace").strip()
    cut = len(text) > SHOWN or len(data) > 4 * SHOWN
    text = text[-SHOWN:] if end else text[:SHOWN]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return f"...{text}" if cut and end else f"{text}..." if cut else text
