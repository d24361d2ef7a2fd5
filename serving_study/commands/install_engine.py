"""Install an engine of one version into the cache and write its receipt."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study import engines
from serving_study.files import write_json
from serving_study.serving.install import install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which engine, and where the receipt goes."""
    parser.add_argument("engine")
    parser.add_argument("version")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    """Install unless the cache has it, then say what stands there."""
    engine = engines.load(args.engine)
    home = install(engine, args.version)
    write_json(
        args.out,
        {
            "engine": engine.name,
            "version": args.version,
            "lock": engine.lock(args.version),
            "versions": engine.versions(home),
        },
    )
