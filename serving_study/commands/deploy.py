"""Start a deployment once for real and record what it is."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import structlog

from serving_study.files import write_json
from serving_study.serving.cache import portable
from serving_study.serving.containers import quick_start
from serving_study.serving.deployment import started
from serving_study.serving.machine import has_gpu
from serving_study.study.plans import DeploymentPlan
from serving_study.telemetry.host import host, making
from serving_study.telemetry.processes import tree_memory

log = structlog.get_logger()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the digest of the measuring code and where the record goes."""
    parser.add_argument("plan", type=DeploymentPlan.model_validate_json)
    parser.add_argument("--code", default="")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> None:
    """Write ``deploy.json``: versions, argv, settings that ran, hardware, start-up time, idle memory."""
    plan: DeploymentPlan = args.plan
    with started(plan, args.out.parent / "servers") as running:
        settings = [
            {key: value and portable(value) for key, value in asdict(setting).items()}
            for server in running.life.servers.values()
            for setting in running.engine.settings(plan.deployment, running.models, server)
        ]
        record = {
            "study": plan.study,
            "deployment": plan.name,
            "engine": plan.deployment.engine,
            "title": running.engine.title,
            "reserves": running.engine.reserves,
            "plan": plan.model_dump(mode="json"),
            "code": args.code,
            **making(),
            "life": running.life.id,
            "host": host().model_dump(),
            "versions": running.versions(),
            "models": {
                name: {"sha256": m.sha256, "license": m.spec.license, "weights": m.spec.weights}
                for name, m in running.models.items()
            },
            "servers": running.command_lines(),
            "settings": settings,
            "ready_after_ns": running.life.ready_after_ns,
            "quick_start": {}
            if plan.deployment.runs_as == "external"
            else quick_start(running.engine, plan.deployment, plan.models, has_gpu()),
            "idle_memory_bytes": {name: tree_memory(pid) for name, pid in running.pids().items()},
            "engine_memory_bytes": {name: running.engine.memory(s) for name, s in running.life.servers.items()},
        }
    for setting in settings:
        if setting["asked"] not in (None, setting["ran"]):
            came = "that the server does not tell" if setting["ran"] is None else "that did not take effect"
            log.warning(f"a setting was asked for {came}", deployment=plan.name, **setting)
    write_json(args.out, record)
