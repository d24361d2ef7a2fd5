"""Draw the figures of a study in every report language, as SVG and PNG."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from pathlib import Path

import structlog

from serving_study.files import write_manifest
from serving_study.report import plots
from serving_study.report.catalogs import catalog, languages
from serving_study.report.facts import read_facts
from serving_study.report.plots import style
from serving_study.report.plots.data import Data

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tables, facts and requests to draw from, and where the figures go."""
    parser.add_argument("--tables", type=Path, required=True, help="folder of the study's tables")
    parser.add_argument("--facts", type=Path, required=True, help="facts.json of the study")
    parser.add_argument("--metrics", type=Path, nargs="*", default=[], help="metrics.parquet of every cell")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--manifest", type=Path, help="file to write the SHA-256 of every figure to")
    parser.add_argument("--language", choices=languages(), action="append", help="only this language; may be repeated")


def run(args: argparse.Namespace) -> None:
    """Write ``NAME.LANGUAGE.svg`` and ``.png`` for each module of `serving_study.report.plots` that draws something."""
    style.use()
    args.out.mkdir(parents=True, exist_ok=True)
    facts = read_facts(args.facts)
    modules = [importlib.import_module(f"{plots.__name__}.{m.name}") for m in pkgutil.iter_modules(plots.__path__)]
    for language in args.language or languages():
        data = Data(args.tables, args.metrics, facts, catalog(language))
        drawn = []
        for module in modules:
            if not hasattr(module, "draw"):
                continue
            name = module.__name__.rpartition(".")[2]
            figure = module.draw(data)
            if figure is not None:
                style.save(figure, args.out, f"{name}.{language}")
                drawn.append(name)
        log.info("figures drawn", language=language, figures=",".join(drawn))
    if args.manifest:
        write_manifest(args.out, args.manifest)
