"""Where a deployment's servers run: processes here, containers here, or somebody else's URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from serving_study.engines.base import Engine, Prepared, ServerSpec
from serving_study.serving.containers import contained
from serving_study.study.types import Deployment


def placed(
    engine: Engine, deployment: Deployment, models: Mapping[str, Prepared], home: Path, scratch: Path
) -> list[ServerSpec]:
    """The servers of ``deployment`` as it says that they run; what they expect below ``scratch`` is there."""
    if deployment.runs_as == "external":
        return external(deployment)
    engine.lay_out(deployment, models, scratch)
    specs = engine.servers(deployment, models, home, scratch)
    return [contained(engine, deployment, spec) for spec in specs] if deployment.runs_as == "container" else specs


def external(deployment: Deployment) -> list[ServerSpec]:
    """Servers that somebody else runs: one for each base URL, with the models that it answers for.

    Several models behind one URL (Ollama, a router) are one server, named by the first of them.
    """
    by_url: dict[str, list[str]] = {}
    for model in deployment.models:
        by_url.setdefault(deployment.urls[model].rstrip("/"), []).append(model)
    return [ServerSpec(models[0], tuple(models), _port(url), (), url=url) for url, models in by_url.items()]


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
