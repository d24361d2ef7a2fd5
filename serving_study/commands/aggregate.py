"""Gather a study's cells into tables: points, estimates, comparisons, decisions, settings, memory, validity."""

from __future__ import annotations

import argparse
from pathlib import Path

import structlog

from serving_study.analysis.gather import Files, gather
from serving_study.files import write_manifest
from serving_study.study.types import Study

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The study, every measured and derived file, and the folder of the tables."""
    parser.add_argument("plan", type=Study.model_validate_json, help="the study as JSON")
    parser.add_argument("--points", type=Path, nargs="+", required=True, help="points.parquet of every cell")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics.parquet of every cell")
    parser.add_argument("--cells", type=Path, nargs="+", required=True, help="cell.json of every cell")
    parser.add_argument("--deploys", type=Path, nargs="+", required=True, help="deploy.json of every deployment")
    parser.add_argument("--warmups", type=Path, nargs="+", required=True, help="warmup.json of every deployment")
    parser.add_argument("--memory", type=Path, nargs="+", required=True, help="memory.parquet of every deployment")
    parser.add_argument("--loading", type=Path, nargs="*", default=[], help="loading.json where a deployment has one")
    parser.add_argument("--claims", type=Path, nargs="?", help="file of config/claims/ to set beside the measurement")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--manifest", type=Path, help="file to write the SHA-256 of every table to")


def run(args: argparse.Namespace) -> None:
    """Write every table as Parquet and CSV."""
    found = gather(
        args.plan,
        Files(
            args.cells, args.points, args.metrics, args.deploys, args.warmups, args.memory, args.loading, args.claims
        ),
    )
    for kind, frame in found.items():
        kind.write(frame, args.out)
    if args.manifest:
        write_manifest(args.out, args.manifest)
    log.info("tables written", **{kind.name: len(frame) for kind, frame in found.items()})
