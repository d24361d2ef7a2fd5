"""Show the metrics of a measured folder: a table, or JSON for programs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from serving_study.metrics.document import document
from serving_study.metrics.summary import summarised, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder and the form."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", type=Path, nargs="?", help="holds cell.json, requests.parquet and chunks.parquet")
    what.add_argument("--document", action="store_true", help="print docs/metrics.md: the definition of every metric")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> None:
    """Derive in memory and print; nothing is written."""
    if args.document:
        print(document(), end="")
        return
    found = summarised(args.folder)
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else table(found))
