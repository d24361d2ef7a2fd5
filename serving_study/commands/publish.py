"""Pack a study as an RO-Crate that verifies itself where it is unpacked, and put it into the static site."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study import engines
from serving_study.report.publish import publish
from serving_study.report.site import add_to_site
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.recorded import recorded_left_out, without


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study, and where the packages go."""
    parser.add_argument("study")
    parser.add_argument("--raw", type=Path, help="folder of the measured files; default: recorded, else results/STUDY")
    parser.add_argument("--out", type=Path, default=Path("publish"))
    parser.add_argument("--without-raw", action="store_true", help="keep hashes of raw tables in place of the tables")


def run(args: argparse.Namespace) -> None:
    """Write ``OUT/STUDY.zip`` and ``OUT/site/``. Raises StudyError where another machine would read the study differently."""
    path = Path("config/studies") / f"{args.study}.yaml"
    study = read(path, engines.checks())
    raw = args.raw or Path(study.recorded or f"results/{study.name}")
    if study.recorded:
        study = without(study, recorded_left_out(raw))
    elif study.skip_unavailable:
        raise StudyError(
            f"{path}: skip_unavailable = true: which deployments it has depends on the machine that reads it; "
            f"fix them first: python -m serving_study record {study.name}, then recorded: recorded/{study.name} in the study"
        )
    packed = publish(study, raw, args.out, args.without_raw)
    index = add_to_site(study, packed, args.out / "site")
    print(f"{packed}: {packed.stat().st_size / 1e6:.1f} MB; unpacked anywhere, its make verify checks every byte")
    print(f"{index}: the index of all studies published here")
