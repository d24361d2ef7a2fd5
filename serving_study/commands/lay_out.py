"""Put a deployment's models into ./models and its engine into ./engines, where a report's quick start expects them."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from serving_study import engines
from serving_study.commands.plan import study_file
from serving_study.serving.containers import MODELS, laid_out
from serving_study.serving.install import install
from serving_study.serving.models import prepare
from serving_study.study.errors import StudyError
from serving_study.study.file import read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which deployment of which study, and where to."""
    parser.add_argument("study", help="name of a file in config/studies/, or its path")
    parser.add_argument("deployment")
    parser.add_argument("--into", type=Path, default=Path(), help="folder to start its servers in (default: this one)")


def run(args: argparse.Namespace) -> None:
    """Install and fetch what the cache lacks, then link it. Raises StudyError for a deployment that others start."""
    path = study_file(args.study)
    study = read(path, engines.checks())
    ours = {name: d for name, d in study.deployments.items() if d.runs_as != "external"}
    if args.deployment not in ours:
        known = ", ".join(ours) or "none"
        raise StudyError(f"{path}: deployments.{args.deployment}: must be one that the study starts: {known}")
    deployment = ours[args.deployment]
    engine = engines.load(deployment.engine)
    if deployment.runs_as == "process":
        _link(install(engine, deployment.version), args.into / laid_out(engine, deployment))
    prepared = {name: prepare(name, study.models[name], engine.formats) for name in deployment.models}
    files = {name: file for name, model in prepared.items() if (file := model.gguf or model.folder)}
    folder = args.into / MODELS.name
    for name, file in files.items():
        _put(file, folder / (f"{name}.gguf" if prepared[name].gguf else name))
    with tempfile.TemporaryDirectory() as scratch:
        engine.lay_out(deployment.model_copy(update={"models": tuple(files)}), prepared, Path(scratch))
        _put(Path(scratch), folder)
    print(f"{folder}: {', '.join(files) or 'nothing, the engine fetches its models itself'}")


def _link(home: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(home)


def _put(source: Path, target: Path) -> None:
    """A file, or all files of a folder: hard links, which a container sees too, or copies on another disk."""
    for file in [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]:
        place = target / file.relative_to(source)
        if place.exists() and place.samefile(file):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            place.hardlink_to(file.resolve())
        except OSError:
            shutil.copyfile(file, place)
