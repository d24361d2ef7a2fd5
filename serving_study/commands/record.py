"""Put the measured files of a study into recorded/, from which anyone renders its report again."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

from serving_study import engines
from serving_study.available import runnable
from serving_study.files import write_json
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.recorded import LEFT_OUT, measured_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which study, and under which name."""
    parser.add_argument("study")
    parser.add_argument("--name", help="name under recorded/ (default: the study's own)")


def run(args: argparse.Namespace) -> None:
    """Copy the files and write ``SHA256SUMS`` beside them."""
    path = Path("config/studies") / f"{args.study}.yaml"
    study = runnable(read(path, engines.checks()), path)
    source, target = Path("results") / study.name, Path("recorded") / (args.name or study.name)
    missing = [f for f in measured_files(study, source) if not f.exists()]
    if missing:
        raise StudyError(f"{missing[0]}: not measured yet, and {len(missing) - 1} more; finish the study first")
    if target.exists():
        raise StudyError(f"{target}: exists; move it away, a recorded run is never overwritten")
    sums = []
    for file in measured_files(study, source):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        sums.append(f"{hashlib.sha256(copy.read_bytes()).hexdigest()}  {copy.relative_to(target)}\n")
    if study.left_out:
        write_json(target / LEFT_OUT, study.left_out)
    (target / "SHA256SUMS").write_text("".join(sums))
    size = sum(f.stat().st_size for f in target.rglob("*") if f.is_file())
    print(f"{target}: {len(sums)} files, {size / 1e6:.1f} MB; name it in a study with recorded: {target}")
