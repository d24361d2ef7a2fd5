"""Print where a number of the report comes from, down to the raw bytes, versions and host."""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from typing import Any

import yaml

from serving_study.report.trace import explain
from serving_study.study.errors import StudyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which number of which study."""
    parser.add_argument("what", help="id of a fact, a part of one, or a place such as report.en.md:57")
    parser.add_argument("--study", help="default: the study of config/config.yaml")


def run(args: argparse.Namespace) -> None:
    """Print the chain; a part of an id or a line lists the ids that fit."""
    study = args.study or yaml.safe_load(Path("config/config.yaml").read_text())["study"]
    file = Path("reports") / study / "trace.json"
    if not file.exists():
        raise StudyError(
            f"{file}: does not exist; make the report first: snakemake --cores 1 report --config study={study}"
        )
    content = json.loads(file.read_text())
    facts = content["facts"]
    found = [args.what] if args.what in facts else _fitting(facts, args.what)
    if not found:
        near = difflib.get_close_matches(args.what, facts, n=3)
        raise StudyError(f"{file}: {args.what!r}: no such fact; near: {', '.join(near) or 'nothing'}")
    if len(found) == 1:
        print(explain(content, found[0]))
    else:
        print("\n".join(f"{fact_id} = {facts[fact_id].get('value')}" for fact_id in found))


def _fitting(facts: dict[str, dict[str, Any]], what: str) -> list[str]:
    """Facts shown on that line, or with that text in their id."""
    name, _, line = what.rpartition(":")
    if name and line.isdigit():
        return [
            f for f, fact in facts.items() if any((p["file"], p["line"]) == (name, int(line)) for p in fact["shown"])
        ]
    return [f for f in facts if what in f]
