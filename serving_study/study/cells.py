"""The cells of a study and the order in which they are measured."""

from __future__ import annotations

import random
from typing import NamedTuple

from serving_study.study.types import Study, Workload


class Cell(NamedTuple):
    """Deployment x language x replicate: what one benchmark job measures."""

    deployment: str
    language: str
    replicate: int


class Point(NamedTuple):
    """One window inside a cell: a workload on one model, or on all of them together."""

    workload: str
    models: tuple[str, ...]


def cells(study: Study) -> tuple[Cell, ...]:
    """All cells in the order of measuring: block by block, drawn from the study's seed inside a block."""
    return tuple(c for r in range(1, study.replicates + 1) for c in block(study, r))


def block(study: Study, replicate: int) -> list[Cell]:
    """One replicate of every cell, in the order drawn for it."""
    drawn = [Cell(d, lang, replicate) for d in sorted(study.deployments) for lang in sorted(study.languages)]
    random.Random(f"{study.seed}:block:{replicate}").shuffle(drawn)
    return drawn


def priority(study: Study, cell: Cell) -> int:
    """Snakemake's ``priority`` that enforces the order of ``cells``: earlier is higher, and every block before the next."""
    return 1_000_000 - 1000 * cell.replicate - block(study, cell.replicate).index(cell)


def points(workloads: dict[str, Workload], models: tuple[str, ...], seed: str) -> list[Point]:
    """The points of a cell in the order drawn from ``seed``."""
    drawn = [Point(name, group) for name, w in sorted(workloads.items()) for group in _loaded(w, models)]
    random.Random(f"{seed}:points").shuffle(drawn)
    return drawn


def _loaded(workload: Workload, models: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Which models are under the load at a time: all of them together, which takes two, or each in turn."""
    if workload.together:
        return [models] if len(models) > 1 else []
    return [(model,) for model in models]
