"""A digit changed by hand is found and named, in each kind of file; nothing is repaired."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.checkout import Checkout


def digit(path: Path, start: int = 0) -> None:
    """Change one digit of a text file."""
    text = path.read_text()
    at = next(m.start() for m in re.finditer(r"\d", text) if m.start() >= start)
    path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])


def parquet(path: Path) -> None:
    """Change one number of a table."""
    frame = pd.read_parquet(path)
    frame.loc[0, "value"] = 12345.0
    frame.to_parquet(path)


def raw_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_untouched_study_verifies(study: Checkout):
    done = study.snakemake("verify")
    assert done.returncode == 0, done.stdout + done.stderr


DERIVED = {
    "reports/tiny/report.en.md": lambda f: digit(f, 4000),
    "reports/tiny/report.ko.md": lambda f: digit(f, 2000),
    "reports/tiny/report.html": lambda f: digit(f, len(f.read_text()) // 2),
    "reports/tiny/trace.json": digit,
    "results/tiny/tables/estimates.csv": digit,
    "results/tiny/tables/estimates.parquet": parquet,
    "results/tiny/facts.json": digit,
    "results/tiny/cells/other/ko/r01/points.parquet": parquet,
}
RAW = {
    "results/tiny/cells/other/ko/r01/chunks.parquet": raw_byte,
    "results/tiny/cells/other/ko/r01/telemetry.parquet": raw_byte,
    "results/tiny/cells/one-slot/en/r01/cell.json": digit,
    "results/tiny/deployments/other/deploy.json": digit,
    "results/tiny/deployments/other/warmup.json": digit,
    "results/tiny/deployments/one-slot/memory.parquet": raw_byte,
}


@pytest.mark.parametrize("changes", [DERIVED, RAW], ids=["derived", "raw"])
def test_every_changed_file_is_named_and_none_repaired(study: Checkout, changes):
    for name, change in changes.items():
        change(study.folder / name)
    study.write("reports/tiny/extra.md", "42")
    changed = {name: (study.folder / name).read_bytes() for name in changes}
    done = study.python("verify", "tiny")
    assert done.returncode != 0
    assert [name for name in changes if name not in done.stdout + done.stderr] == []
    assert changes is RAW or "reports/tiny/extra.md" in done.stdout
    assert {name: (study.folder / name).read_bytes() for name in changes} == changed, "verify repaired a file"
