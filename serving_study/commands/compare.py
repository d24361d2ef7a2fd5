"""Say what got faster, slower or is undecided between two runs; exit status 1 if anything got worse."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from serving_study.analysis.compared import word
from serving_study.analysis.runs import Comparison, compare_runs, read_run

WORSE, NOTHING_COMPARED, UNDECIDED, NOTHING_TESTED = 1, 3, 4, 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two runs and the form of the answer."""
    parser.add_argument("before", type=Path, help="folder below results/ or recorded/: the baseline")
    parser.add_argument("after", type=Path, help="folder below results/ or recorded/: what is judged")
    parser.add_argument("--json", action="store_true", help="JSON instead of Markdown")
    parser.add_argument("--out", type=Path, help="write the answer here instead of printing it")
    parser.add_argument(
        "--strict",
        action="store_true",
        help=f"exit status {UNDECIDED} if nothing got worse but something is undecided or missing in one run",
    )


def run(args: argparse.Namespace) -> int:
    """0: nothing got worse; 1: something did; 3: nothing could be compared; 4: undecided, with --strict; 5: nothing tested."""
    found = compare_runs(read_run(args.before), read_run(args.after))
    verdict = status(found, args.strict)
    if args.json:
        content = {"before": str(args.before), "after": str(args.after), "status": verdict, **asdict(found)}
        answer = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n"
    else:
        answer = "\n".join(markdown(found, str(args.before), str(args.after))) + "\n"
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(answer, encoding="utf-8")
    else:
        sys.stdout.write(answer)
    return verdict


def status(found: Comparison, strict: bool = False) -> int:
    """Exit status for what was found."""
    verdicts = {r["verdict"] for r in found.rows}
    if "worse" in verdicts:
        return WORSE
    if verdicts <= {"not-comparable"}:
        return NOTHING_COMPARED
    if not verdicts & {"better", "no-clear-winner"}:
        return NOTHING_TESTED
    return UNDECIDED if strict and (found.missing or verdicts & {"no-clear-winner", "not-decided"}) else 0


def markdown(found: Comparison, before: str, after: str) -> Iterator[str]:
    """Headlines of every deployment, the cells that were decided, and what stands in one run only."""
    rows = found.rows
    yield f"# {_safe(after)} against {_safe(before)}"
    yield ""
    yield "Ratios are after / before, so the first name over the second."
    yield "The runs share no block, so nothing is paired: intervals hold for server lives of one machine and know nothing"
    yield "of other differences between the two occasions. Measure both in one study to be sure."
    yield ""
    yield from _table([r for r in rows if r["scope"] == "headline"])
    decided = [r for r in rows if r["scope"] == "cell" and r["verdict"] in ("better", "worse")]
    yield ""
    if decided:
        yield "## Cells that differ"
        yield ""
        yield from _table(decided)
    else:
        yield "No single cell is decided."
    if found.missing:
        yield ""
        yield "## In one run only"
        yield ""
        yield "What has a valid value in one run only takes no part in any row above."
        yield ""
        yield "| missing in | deployment | metric | where | reason |"
        yield "|---|---|---|---|---|"
        for r in found.missing:
            run = before if r["missing_in"] == "before" else after
            yield f"| {_safe(run)} | {_safe(r['deployment'])} | {r['metric']} | {_safe(_where(r))} | {r['reason']} |"


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| deployment | metric | where | ratio | interval | lives | verdict |"
    yield "|---|---|---|---:|---|---:|---|"
    for r in rows:
        where = _where(r)
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.3f}"
        interval = "" if r["low"] is None else f"[{r['low']:.3f}, {r['high']:.3f}] at {r['level']:.4g}"
        yield f"| {_safe(r['deployment'])} | {r['metric']} | {_safe(where)} | {ratio} | {interval} | {r['lives']} | {_said(r)} |"


def _where(r: dict[str, Any]) -> str:
    return "all" if r["model"] == "all" else f"{r['model']}, {r['language']}, {r['workload']}"


def _said(r: dict[str, Any]) -> str:
    said = {"no-clear-winner": "undecided", "not-decided": "undecided"}.get(
        r["verdict"], word(r["metric"], r["verdict"])
    )
    reason = f" ({r['reason']})" if r["reason"] else ""
    needed = f"; about {r['lives_needed']} lives would show a difference of this size" if r["lives_needed"] else ""
    return f"{said}{reason}{needed}"


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
