"""Recorded runs: whether they still are what the study asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from serving_study.study.cells import Cell, cells
from serving_study.study.errors import StudyError
from serving_study.study.plans import CellPlan, cell_plan
from serving_study.study.types import Study

CELL_FILES = ("cell.json", "requests.parquet", "chunks.parquet", "telemetry.parquet")
LEFT_OUT = "left_out.json"
LOADING = "loading.json"
DEPLOYMENT_FILES = ("deploy.json", "warmup.json", "memory.parquet")


def cell_folder(root: str | Path, cell: Cell) -> Path:
    """Where a cell's files stand below the root of a study's measured files."""
    return Path(root) / "cells" / cell.deployment / cell.language / f"r{cell.replicate:02d}"


def measured_files(study: Study, root: str | Path) -> Iterator[Path]:
    """Every measured file of a study below ``root``."""
    for name in study.deployments:
        more = (LOADING,) if name in study.loading else ()
        yield from (Path(root) / "deployments" / name / f for f in (*DEPLOYMENT_FILES, *more))
    for cell in cells(study):
        yield from (cell_folder(root, cell) / f for f in CELL_FILES)


def without(study: Study, left_out: dict[str, str]) -> Study:
    """The study less the deployments that the measuring machine could not run.

    Raises StudyError when none is left.
    """
    kept = {name: d for name, d in study.deployments.items() if name not in left_out}
    if not kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise StudyError(f"study {study.name}: this machine can run none of its deployments: {reasons}")
    loading = tuple(name for name in study.loading if name in kept)
    return study.model_copy(update={"deployments": kept, "left_out": left_out, "loading": loading})


def recorded_left_out(folder: str | Path) -> dict[str, str]:
    """What was left out when the runs in ``folder`` were measured, and why."""
    file = Path(folder) / LEFT_OUT
    found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return found


def check_recorded(study: Study, path: Path) -> None:
    """Refuse recorded runs that miss a file, or were recorded under another plan or other prompts.

    Raises StudyError naming the first file that is wrong, why, and what to do.
    """
    root = Path(str(study.recorded))
    missing = [f for f in measured_files(study, root) if not f.exists()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise StudyError(
            f"{path}: recorded = {study.recorded!r}: {missing[0]}{more} missing; "
            "fetch the recorded runs, or measure anew with --config measure=true"
        )
    prompts = {
        lang: hashlib.sha256(Path(f"config/prompts/{lang}.jsonl").read_bytes()).hexdigest() for lang in study.languages
    }
    for cell in cells(study):
        file = cell_folder(root, cell) / "cell.json"
        was = json.loads(file.read_text())
        difference = _difference(was["plan"], cell_plan(study, *cell))
        if difference:
            raise StudyError(
                f"{file}: recorded under another plan ({difference}); "
                f"restore {path}, or measure anew with --config measure=true"
            )
        if was["prompts_sha256"] != prompts[cell.language]:
            raise StudyError(
                f"config/prompts/{cell.language}.jsonl: differs from the prompts that {file} was recorded with; "
                "restore it, or measure anew with --config measure=true"
            )


def _difference(was: dict[str, object], now: CellPlan) -> str | None:
    """The first part of the plan that differs, the study's own name apart; None when both ask for the same."""
    try:
        then = CellPlan.model_validate(was).model_dump()
    except ValidationError as error:
        return f"{error.error_count()} keys that this version does not know"
    for key, value in now.model_dump().items():
        if key != "study" and then[key] != value:
            return f"{key} was {_short(then[key])}, is {_short(value)}"
    return None


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
