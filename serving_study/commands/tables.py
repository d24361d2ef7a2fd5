"""Print docs/tables.md: every column of every table of a study."""

from __future__ import annotations

import argparse
import sys

from serving_study.analysis.dictionary import document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> None:
    """Print the page."""
    sys.stdout.write(document())
