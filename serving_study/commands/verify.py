"""Check reports, tables and raw files against what the raw files give; repair nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study import engines
from serving_study.available import runnable
from serving_study.report.verify import differences
from serving_study.study.file import read
from serving_study.study.recorded import recorded_left_out, without


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study, and whether it was measured anew here although the study names recorded runs."""
    parser.add_argument("study")
    parser.add_argument("--measured", action="store_true", help="take results/STUDY, also where runs are recorded")


def run(args: argparse.Namespace) -> int:
    """Exit status 1 when anything differs, with one line for each file."""
    path = Path("config/studies") / f"{args.study}.yaml"
    study = read(path, engines.checks())
    if args.measured:
        study = study.model_copy(update={"recorded": None})
    raw = Path(study.recorded or f"results/{study.name}")
    if study.recorded:
        study = without(study, recorded_left_out(raw))
    elif study.skip_unavailable:
        study = runnable(study, path)
    found = list(differences(study, raw))
    for line in found:
        print(f"verify: {line}")
    print(f"verify: {study.name}: {f'{len(found)} files differ' if found else 'every byte comes from the raw files'}")
    return 1 if found else 0
