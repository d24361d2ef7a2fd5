"""One file an engine. ``load(name)`` imports that file alone, so that a rule depends on its own engine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

from serving_study.engines.base import Engine, Refusal, refusals
from serving_study.study.types import Deployment


def names() -> tuple[str, ...]:
    """Every engine: the modules of this package other than ``base``."""
    return tuple(sorted(f.stem for f in Path(__file__).parent.glob("*.py") if f.stem not in ("__init__", "base")))


def load(name: str) -> Engine:
    """The engine in ``engines/<name>.py``: its module-level ``ENGINE``."""
    engine: Engine = import_module(f"{__name__}.{name}").ENGINE
    return engine


def checks() -> dict[str, Callable[[Deployment], Iterator[Refusal]]]:
    """Every engine, with what it refuses of a deployment; its file is imported when it is asked."""
    return {name: partial(_refused, name) for name in names()}


def _refused(name: str, deployment: Deployment) -> Iterator[Refusal]:
    return refusals(load(name), deployment)
