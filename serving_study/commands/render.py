"""Render the report from facts and figures: Markdown in each language, a bilingual summary, one HTML file, the trace."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

import structlog

from serving_study.report.document import write_pages
from serving_study.report.facts import read_facts
from serving_study.report.machine import as_json, machine_report
from serving_study.report.markers import Shown
from serving_study.report.page import FILE, write_html
from serving_study.report.trace import evidence, trace

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Facts and figures, and where the report goes."""
    parser.add_argument("--facts", type=Path, required=True, help="facts.json of the study")
    parser.add_argument("--figures", type=Path, help="folder of the figures; without it the report has none")
    parser.add_argument("--cells", type=Path, nargs="*", default=[], help="cell.json of every cell")
    parser.add_argument("--deploys", type=Path, nargs="*", default=[], help="deploy.json of every deployment")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--receipt", type=Path, help="file to write the SHA-256 of every written file to")


def run(args: argparse.Namespace) -> None:
    """Write ``report*.md``, ``report.html``, ``report.json``, ``trace.json`` and ``figures/``."""
    facts = read_facts(args.facts)
    shown = Shown()
    pages = write_pages(facts, shown, args.figures)
    full = {language: page for language, page in pages.items() if language != "summary"}
    html, in_html = write_html(facts.study, full, shown, args.figures)
    positions = [position for page in pages.values() for position in page.positions] + in_html
    written = {page.file: page.text.encode() for page in pages.values()}
    written |= {
        FILE: html.encode(),
        "report.json": as_json(machine_report(facts, shown)),
        "trace.json": as_json(trace(facts.study, shown.facts(), positions, evidence(args.cells, args.deploys))),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        (args.out / name).write_bytes(content)
    if args.figures:
        _copy_figures(args.figures, args.out / "figures")
    if args.receipt:
        args.receipt.parent.mkdir(parents=True, exist_ok=True)
        args.receipt.write_bytes(as_json(_receipt(args.out, [*written])))
    log.info("report written", folder=str(args.out), facts=len(shown.facts()), positions=len(positions))


def _copy_figures(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in source.iterdir()}
    for stale in sorted({path.name for path in target.iterdir()} - names):
        (target / stale).unlink()
    for name in sorted(names):
        shutil.copyfile(source / name, target / name)


def _receipt(folder: Path, names: list[str]) -> dict[str, str]:
    files = [folder / name for name in names] + sorted((folder / "figures").glob("*"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}
