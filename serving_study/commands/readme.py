"""Bring the numbers and figures that the README quotes from a report up to date."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study.report.readme import quoted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which documents."""
    parser.add_argument("documents", type=Path, nargs="*", default=[Path("README.md"), Path("README.ko.md")])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit status 1 if a quote is not up to date"
    )


def run(args: argparse.Namespace) -> int:
    """Write the documents anew where a quote changed."""
    stale = [document for document in args.documents if quoted(document) != document.read_text(encoding="utf-8")]
    for document in stale:
        if not args.check:
            document.write_text(quoted(document), encoding="utf-8")
        print(f"{document}: {'not up to date' if args.check else 'brought up to date'}")
    return 1 if stale and args.check else 0
