"""Make a model ready in the cache for the engines that load it, and write its receipt."""

from __future__ import annotations

import argparse
from pathlib import Path

from serving_study import engines
from serving_study.files import write_json
from serving_study.serving.models import prepare
from serving_study.study.plans import ModelPlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model for which engines, and where the receipt goes."""
    parser.add_argument("plan", type=ModelPlan.model_validate_json)
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    """Prepare it in every form that is wanted."""
    plan: ModelPlan = args.plan
    ready = {e: prepare(plan.model, plan.spec, engines.load(e).formats) for e in plan.engines}
    receipt = {
        "model": plan.model,
        "license": plan.spec.license,
        "weights": plan.spec.weights,
        "sha256": {engine: prepared.sha256 for engine, prepared in ready.items()},
    }
    write_json(args.out, receipt)
