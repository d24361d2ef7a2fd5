"""Digest of what a stage's source means: comments, blank lines and docstrings left out.

Each rule carries ``params: code=code("load", ...)``, so that an edit re-runs just the stages that it can change.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent

CARRIED_BY_PLAN = ("study/errors", "study/types", "study/plans")
"""Modules in no digest: what they mean to a job stands in its plan, which is a parameter of its rule."""


def files(*stages: str, package: Path = PACKAGE) -> list[Path]:
    """The Python files of stages: a folder (``load``), or one module (``engines/vllm``).

    With a module goes what has its name in folders beside it (``engines/launchers/vllm``). Raises FileNotFoundError.
    """
    found: list[Path] = []
    for stage in stages:
        module = package / f"{stage}.py"
        beside = list(module.parent.glob(f"*/{module.name}")) if "/" in stage else []
        here = [module, *beside] if module.exists() else sorted((package / stage).rglob("*.py"))
        if not here:
            raise FileNotFoundError(f"serving_study/{stage}: no such stage")
        found += here
    return sorted(set(found))


@cache
def digest(*stages: str, package: Path = PACKAGE) -> str:
    """First 16 hexadecimal digits of the SHA-256 over the syntax trees of the stages' files."""
    whole = hashlib.sha256()
    for file in files(*stages, package=package):
        whole.update(f"{file.relative_to(package).as_posix()}\0{_meaning(file.read_text())}\0".encode())
    return whole.hexdigest()[:16]


def _meaning(text: str) -> str:
    """The syntax tree without docstrings and positions (the text after an assignment that documents it goes too)."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            bare = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = bare or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)
