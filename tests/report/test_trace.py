"""From every number of the recorded report to the bytes that it was measured from, in a clone without results."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from serving_study.__main__ import main

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "reports/example"
TRACE = json.loads((REPORT / "trace.json").read_text())


def evidence(fact: dict) -> list[dict]:
    return [TRACE["runs"][name] for name in TRACE["evidence"][fact["evidence"]]]


def test_every_place_shows_what_the_trace_says():
    pages = {file: (REPORT / file).read_text().split("\n") for file in ("report.md", "report.en.md", "report.ko.md")}
    places = [p for fact in TRACE["facts"].values() for p in fact["shown"] if p["file"] in pages]
    assert len(places) > 1000
    wrong = [
        p for p in places if not pages[p["file"]][p["line"] - 1][p["column"] - 1 :].startswith(p["text"].split("\n")[0])
    ]
    assert not wrong


def test_every_digit_of_a_page_lies_inside_a_fact():
    for file in ("report.en.md", "report.ko.md"):
        lines = [list(line) for line in (REPORT / file).read_text().split("\n")]
        for fact in TRACE["facts"].values():
            for p in fact["shown"]:
                if p["file"] == file:
                    start = p["column"] - 1
                    lines[p["line"] - 1][start : start + len(p["text"])] = " " * len(p["text"])
        loose = [line for line in map("".join, lines) if re.search(r"\d", line)]
        assert not loose


MEASURED = ("estimates", "memory", "warmup", "deployments")
"""Tables whose numbers come from a run each."""


def test_measured_facts_lead_to_raw_files_that_have_not_changed():
    checked, rules = set(), set()
    for fact_id, fact in TRACE["facts"].items():
        if fact["kind"] == "estimate" and fact["source"]["table"] in MEASURED:
            assert evidence(fact), fact_id
            for run in evidence(fact):
                assert run["life"]
                assert run["code"]
                assert re.fullmatch(r"[0-9a-f]{40}", run["commit"]), f"{fact_id}: measured from a changed source"
                assert run["command"].startswith("python -m serving_study ")
                assert run["host"]["processor"]
                rules.add(run["rule"])
                checked |= {(run["folder"], name, digest) for name, digest in run["files"].items()}
    assert rules == {"benchmark", "deploy", "warmup", "profile_memory"}
    assert len(checked) >= 18 * 4
    for folder, name, digest in checked:
        assert hashlib.sha256((ROOT / folder / name).read_bytes()).hexdigest() == digest, f"{folder}/{name}"


def test_a_fact_leads_only_to_the_cells_of_its_subject():
    fact = TRACE["facts"]["estimate/output_throughput/four-slots/smollm2-135m/ko/c4"]
    assert {(r["deployment"], r["language"]) for r in evidence(fact)} == {("four-slots", "ko")}
    assert len(evidence(fact)) == fact["lives"]


def test_the_command_prints_the_whole_chain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    fact_id = "estimate/output_throughput/four-slots/smollm2-135m/ko/c4"
    assert main(["trace", fact_id, "--study", "example"]) == 0
    said = capsys.readouterr().out
    steps = (
        "token/s",
        "report.en.md:",
        "estimates.parquet",
        "rule aggregate",
        "chunks.parquet  sha256",
        "rule benchmark",
    )
    for step in (*steps, "rule derive", "command", "xllamacpp 2026", "host", "life", "commit"):
        assert step in said, step


def test_a_line_of_a_page_lists_its_facts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    place = TRACE["facts"]["count/requests"]["shown"][0]
    assert main(["trace", f"{place['file']}:{place['line']}", "--study", "example"]) == 0
    assert "count/requests" in capsys.readouterr().out


def test_an_unknown_fact_names_its_neighbours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    assert main(["trace", "count/request5", "--study", "example"]) == 2
    assert "count/requests" in capsys.readouterr().err
