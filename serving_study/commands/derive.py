"""Derive one row a request and one row a point and metric from a cell's raw files."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.tables import write
from serving_study.study.errors import StudyError
from serving_study.study.plans import DerivePlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read, what to judge it by, and where to write."""
    parser.add_argument(
        "plan", nargs="?", help="objectives and limits of the study, as JSON (default: none, and the defaults)"
    )
    parser.add_argument("--cell", type=Path, required=True, help="cell.json; the raw files lie beside it")
    parser.add_argument("--metrics", type=Path, required=True, help="Parquet file to write: one row a request")
    parser.add_argument("--points", type=Path, required=True, help="Parquet file to write: one row a point and metric")


def run(args: argparse.Namespace) -> None:
    """Derive and write both tables."""
    derived = derive(args.cell, _judging(args.plan))
    write(derived.metrics, args.metrics)
    write(derived.points, args.points)


def _judging(plan: str | None) -> Judging:
    if plan is None:
        return Judging()
    try:
        read = DerivePlan.model_validate_json(plan)
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"plan: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return Judging(read.slos, read.limits)
