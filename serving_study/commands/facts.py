"""Turn a study's tables into facts.json: every number and verdict that a report may show."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study.analysis.findings import book
from serving_study.analysis.tables import TABLES
from serving_study.study.errors import StudyError
from serving_study.study.types import Study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The study, the folder of its tables and where the facts go."""
    parser.add_argument("plan", type=Study.model_validate_json, help="the study as JSON")
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    """Write ``facts.json``."""
    try:
        frames = {kind.name: kind.read(args.tables) for kind in TABLES}
    except OSError as error:
        raise StudyError(f"{error}; run `aggregate` first") from error
    book(args.plan, frames).write(args.out)
