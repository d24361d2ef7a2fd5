"""From a number on the page to the bytes that it was measured from.

``trace.json`` stands beside the reports and is whole without ``results/``: fact -> row -> table -> evidence (the cells
and deployments behind it, each with its raw files and their SHA-256, life, host, command, code digest and commit).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from serving_study.report.facts import Fact
from serving_study.report.markers import Position

RULES = {
    "report": ("render", "reports/{study}/trace.json"),
    "facts": ("facts", "results/{study}/facts.json"),
    "table": ("aggregate", "results/{study}/tables"),
    "points": ("derive", "results/{study}/{run}/points.parquet"),
    "cell": ("benchmark", "results/{study}/{run}/cell.json"),
}
"""What makes what: rule and output, from the page down to the wire."""

OF_RULE = {
    "deploy": "deploy.json",
    "warmup": "warmup.json",
    "profile_memory": "memory.parquet",
    "profile_loading": "loading.json",
}
"""Rule to its record of a deployment."""

OF_DEPLOYMENTS = {
    "deployments": "deploy",
    "ledger": "deploy",
    "warmup": "warmup",
    "warmup_curve": "warmup",
    "memory": "profile_memory",
    "loading": "profile_loading",
}
"""Table made from records of deployments, not of cells, to the rule that wrote them."""


def evidence(cells: Iterable[Path], deployments: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Name of a run (``cells/four-slots/ko/r01``, ``deployments/four-slots/warmup``) to what was recorded of it."""
    runs = {}
    for file in cells:
        cell = json.loads(file.read_text())
        runs[_name(file)] = {
            "folder": file.parent.as_posix(),
            "files": {**cell["files"], "cell.json": _sha256(file)},
            "rule": "benchmark",
            "command": " ".join(_short(word) for word in cell["command"]),
            **{key: cell[key] for key in ("deployment", "language", "replicate", "life", "code", "commit", "host")},
            "servers": cell["servers"],
            "utc_ns": cell["clock_start"]["utc_ns"],
        }
    for file in deployments:
        deploy = json.loads(file.read_text())
        common = {key: deploy[key] for key in ("deployment", "host", "versions", "servers")}
        for rule, name in OF_RULE.items():
            record = file.with_name(name)
            if record.exists():
                runs[f"{_name(file)}/{rule}"] = {
                    "folder": file.parent.as_posix(),
                    "files": {name: _sha256(record)},
                    "rule": rule,
                    **_made(record),
                    **common,
                }
    return runs


def _made(record: Path) -> dict[str, Any]:
    """The life that a deployment's record tells of, and the command, code and commit that wrote it, where it says so."""
    if record.suffix == ".parquet":
        said = json.loads((pq.read_schema(record).metadata or {}).get(b"made", b"{}"))
    else:
        said = json.loads(record.read_text())
    command = " ".join(_short(word) for word in said.get("command", ()))
    return {"command": command, **{key: said.get(key) for key in ("life", "code", "commit")}}


def trace(
    study: str, facts: Iterable[Fact], positions: Iterable[Position], runs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of ``trace.json``."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for p in positions:
        place = {"file": p.file, "line": p.line, "column": p.column, "text": p.text}
        shown.setdefault(p.fact, []).append(place)
    sets: dict[tuple[str, ...], int] = {}
    entries = {}
    for fact in facts:
        behind = _behind(fact, runs)
        entries[fact.id] = {
            **fact.model_dump(exclude={"id"}, exclude_none=True),
            "evidence": sets.setdefault(behind, len(sets)),
            "shown": shown.get(fact.id, []),
        }
    return {
        "study": study,
        "rules": {step: {"rule": rule, "output": output} for step, (rule, output) in RULES.items()},
        "facts": entries,
        "evidence": [list(names) for names in sets],
        "runs": dict(runs),
    }


def explain(content: Mapping[str, Any], fact_id: str) -> str:
    """The chain of one fact in words, a line a step."""
    fact = content["facts"][fact_id]
    source = fact.get("source", {})
    places = [f"{p['file']}:{p['line']}:{p['column']} {p['text']!r}" for p in fact["shown"]]
    lines = [
        f"{fact_id} = {_value(fact)}",
        f"shown      {'; '.join(places) or 'nowhere'}",
        f"row        {json.dumps(source.get('row', {}), ensure_ascii=False)}, column {source.get('column', '?')}",
    ]
    for step, key in (("table", "table"), ("facts", None)):
        rule = content["rules"][step]
        output = rule["output"].format(study=content["study"])
        file = f"{output}/{source.get(key)}.parquet" if key else output
        lines.append(f"{step:<10} {file}  (rule {rule['rule']}: snakemake --cores 1 {output})")
    names = content["evidence"][fact["evidence"]]
    lines.append(f"evidence   {len(names)} runs")
    for name in names:
        lines += _run_lines(content, name)
    return "\n".join(lines)


def _run_lines(content: Mapping[str, Any], name: str) -> list[str]:
    run = content["runs"][name]
    versions = run.get("versions") or content["runs"].get(f"deployments/{run['deployment']}/deploy", {}).get(
        "versions", {}
    )
    host = run["host"]
    lines = [
        f"  {name}: rule {run['rule']}, life {run['life']}, code {run['code']}, commit {run.get('commit') or 'unknown'}"
    ]
    lines += [f"    {run['folder']}/{file}  sha256 {digest}" for file, digest in run["files"].items()]
    if run["rule"] == "benchmark":
        points = content["rules"]["points"]
        output = points["output"].format(study=content["study"], run=name)
        lines.append(f"    derived  {output}  (rule {points['rule']})")
    if run.get("command"):
        lines.append(f"    command  {run['command']}")
    lines += [f"    server   {server}: {' '.join(argv)}" for server, argv in run["servers"].items()]
    lines.append(f"    versions {', '.join(f'{k} {v}' for k, v in versions.items())}")
    return [*lines, f"    host     {host['name']}: {host['processor']}, {host['cores']} cores, {host['system']}"]


def _behind(fact: Fact, runs: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The runs that a fact was computed from: those its subject does not rule out."""
    table = fact.source.get("table", "")
    rule = OF_DEPLOYMENTS.get(table, "benchmark")
    wanted = {fact.about(key) for key in ("deployment", "a", "b", "winner")} - {"", "*", "all"}
    language = fact.about("language")
    return tuple(
        name
        for name, run in runs.items()
        if run["rule"] == rule
        and (not wanted or run["deployment"] in wanted)
        and (language in ("", "*", "all") or run.get("language") in (None, language))
    )


def _name(file: Path) -> str:
    """``cells/four-slots/ko/r01`` of ``.../cells/four-slots/ko/r01/cell.json``."""
    parts: Sequence[str] = file.parent.parts
    start = max(i for i, part in enumerate(parts) if part in ("cells", "deployments"))
    return "/".join(parts[start:])


def _value(fact: Mapping[str, Any]) -> str:
    interval = f" [{fact['low']}, {fact['high']}]" if "low" in fact else ""
    return f"{fact.get('value')}{interval} {fact.get('unit') or ''}".rstrip()


def _short(word: str) -> str:
    """A plan is in ``cell.json`` already; in a command line it would hide the rest."""
    return word if len(word) <= 120 else f"'{word[:60]}...'"


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
