"""The commands that a report prints are commands that run, as they stand."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving_study.__main__ import main

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"python -m serving_study trace (\S+) --study made-up")


@pytest.fixture
def checkout(reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the report of a study that is not the configured one."""
    shutil.copytree(reports, tmp_path / "reports" / "made-up")
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config/config.yaml", tmp_path / "config/config.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(page: str) -> str:
    """The line of `trace` in the section on reproducing."""
    (line,) = [line for line in page.splitlines() if line.startswith("python -m serving_study trace")]
    return line


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_printed_line_runs_and_names_a_number_of_a_table(checkout: Path, language: str) -> None:
    page = (checkout / f"reports/made-up/report.{language}.md").read_text("utf-8")
    line = printed(page)
    found = LINE.fullmatch(line)
    assert found, line
    done = subprocess.run(
        ["bash", "-c", line.replace("python", shlex.quote(sys.executable), 1)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{found[1]} = ")
    places = json.loads((checkout / "reports/made-up/trace.json").read_text("utf-8"))["facts"][found[1]]["shown"]
    lines = page.splitlines()
    shown_in_tables = [
        p for p in places if p["file"] == f"report.{language}.md" and lines[p["line"] - 1].startswith("|")
    ]
    assert shown_in_tables


def test_every_trace_box_of_the_page_prints_a_line_that_finds_its_number(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (checkout / "reports/made-up/report.html").read_text("utf-8")
    said = [html.unescape(code) for code in re.findall(r"<code>(python -m serving_study trace [^<]*)</code>", page)]
    known = json.loads((checkout / "reports/made-up/trace.json").read_text("utf-8"))["facts"]
    found = [LINE.fullmatch(line) for line in said]
    assert len(found) == len(known)
    assert all(match and match[1] in known for match in found), [s for s, m in zip(said, found, strict=True) if not m]
    assert main(shlex.split(said[0])[3:]) == 0
    assert capsys.readouterr().out.startswith(f"{shlex.split(said[0])[4]} = ")
