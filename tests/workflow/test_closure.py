"""What a rule's command imports lies inside the stages whose digest the rule carries."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from serving_study import engines
from serving_study.study import code

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "serving_study"
CARRIED = {PACKAGE / f"{name}.py" for name in code.CARRIED_BY_PLAN}
PLUMBING = {PACKAGE / name for name in ("__init__.py", "logs.py", "files.py", "engines/__init__.py")}
"""How a job logs, writes JSON and finds its engine by name: no number depends on it."""


def rules() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Rule to its command and its stages, as the rule files have them."""
    found = {}
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", file.read_text(), re.MULTILINE | re.DOTALL):
            stages = re.search(r"code=code\((.*?)\)", body, re.DOTALL)
            command = re.search(r"python -m serving_study ([\w-]+)", body)
            if stages:
                found[name] = (command[1].replace("-", "_"), tuple(re.findall(r'"([^"]+)"', stages[1])))
    return found


def imports(file: Path) -> set[Path]:
    """Modules of the package that a file imports, and the packages that they lie in."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "serving_study":
            for i in range(1, len(parts) + 1):
                place = ROOT / "/".join(parts[:i])
                found |= {f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()}
    return found


def closure(file: Path) -> set[Path]:
    """Everything that importing a file runs."""
    seen, todo = set(), {file}
    while todo:
        seen |= todo
        todo = {f for one in todo for f in imports(one)} - seen
    return seen


def empty(file: Path) -> bool:
    """A package's ``__init__`` that only says what it is."""
    return file.name == "__init__.py" and len(ast.parse(file.read_text()).body) <= 1


@pytest.mark.parametrize("engine", engines.names())
@pytest.mark.parametrize("rule", rules())
def test_imports_lie_inside_the_stages(rule: str, engine: str):
    command, stages = rules()[rule]
    covered = set(code.files(*(s.format(engine=engine) for s in stages)))
    needed = closure(PACKAGE / f"commands/{command}.py")
    if any("{engine}" in s for s in stages):
        needed |= closure(PACKAGE / f"engines/{engine}.py")
    missing = {f for f in needed - covered - CARRIED - PLUMBING if not empty(f)}
    assert not missing, sorted(str(f.relative_to(ROOT)) for f in missing)


def test_every_rule_with_a_command_carries_code():
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, _ in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", file.read_text(), re.MULTILINE | re.DOTALL):
            assert name in rules() or name in ("verify", "publish"), f"{file}: rule {name} does not carry its code"
