"""Servers in containers: the official image of an engine with the argv that a process would get.

``runs_as: container`` runs ``docker run`` in the foreground: it hands TERM on to the server and ends with it. The report
carries the same servers as a ``docker-compose.yml``. Containers share the host's network, so that a server which listens
on loopback does so there too.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
import yaml

from serving_study.engines.base import Engine, Prepared, Question, ServerSpec
from serving_study.serving.machine import has_gpu
from serving_study.serving.models import by_name
from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment, HuggingFaceSource, Model

ROOT = Path(__file__).parents[2]
ENGINE = Path("/engine")
MODELS = Path("/models")
"""Where containers find ``./models``, which ``lay-out`` fills."""

log = structlog.get_logger()


def image(engine: Engine, version: str) -> str:
    """The pinned official image, e.g. ``vllm/vllm-openai:v0.10.1.1``. Raises StudyError where there is none."""
    if engine.image is None:
        raise StudyError(f"{engine.title}: there is no official image. Next: use runs_as: process")
    return engine.image.format(version=version, build=version.rsplit(".", 1)[-1])


def contained(engine: Engine, deployment: Deployment, spec: ServerSpec) -> ServerSpec:
    """``spec`` as a container: its name is the port's, what it reads and writes is mounted in the same place."""
    name = f"serving-study-{spec.port}"
    mounts = [f"{path}:{path}:ro" for path in spec.reads] + [f"{path}:{path}" for path in spec.writes]
    words = ["docker", "run", "--rm", "--init", "--name", name, "--network", "host", "--ipc", "host"]
    words += ["--gpus", "all"] if has_gpu() else []
    words += [word for mount in mounts for word in ("--volume", mount)]
    words += [word for key, value in spec.environment.items() for word in ("--env", f"{key}={value}")]
    words += [image(engine, deployment.version), *spec.argv[spec.image_words :]]
    reach = {key: value for key in ("DOCKER_HOST", "DOCKER_CONFIG") if (value := os.environ.get(key))}
    patience = spec.stop_timeout_s + 10
    return dataclasses.replace(spec, argv=tuple(words), environment=reach, stop_timeout_s=patience, container=name)


def pulled(engine: Engine, version: str) -> str:
    """The image with its digest, fetched first where this machine has not got it: no part of a server's start-up time.

    An image without a digest (built here) is told by its id. Raises StudyError with what docker said.
    """
    name = image(engine, version)
    if _docker("image", "inspect", name).returncode:
        log.info("pulling", image=name)
        done = _docker("pull", name)
        if done.returncode:
            raise StudyError(
                f"docker pull {name}: {done.stderr.strip()[-300:]}. Next: see whether `docker pull` works by hand"
            )
    told = json.loads(_docker("image", "inspect", name).stdout)[0]
    return next(iter(told.get("RepoDigests") or ()), f"{name} ({told['Id']})")


def process_of(container: str) -> int | None:
    """The process on this host that a container runs, whose tree is the server's: ``docker run`` is only its client."""
    said = _docker("inspect", "--format", "{{.State.Pid}}", container).stdout.strip()
    return int(said) if said.isdigit() and int(said) else None


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def compose(engine: Engine, deployment: Deployment, models: Mapping[str, Model], gpu: bool) -> str:
    """``docker-compose.yml`` that serves the deployment: pinned images, loopback, its ports and memory shares.

    Models of a Hugging Face hub are fetched by the servers at their pinned revision; others are expected in ``models``
    beside the file. A server that ran without a GPU gets an image that does, and the settings that it had.
    """
    specs = engine.servers(deployment, _named(engine, models, MODELS), ENGINE, MODELS)
    if not any(spec.service for spec in specs):
        asked = deployment.model_copy(update={"runs_as": "container"})
        specs = engine.servers(asked, _named(engine, models, MODELS), ENGINE, MODELS)
    services = {
        spec.name: _service(spec, spec.service or {"image": image(engine, deployment.version)}, models, gpu)
        for spec in specs
    }
    text: str = yaml.safe_dump(
        {"services": services}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=10_000
    )
    return text


def quick_start(engine: Engine, deployment: Deployment, models: Mapping[str, Model], gpu: bool) -> dict[str, str]:
    """For whoever wants to serve the same: a compose file, plain command lines, what fetches models, requests to each."""
    said = {
        "compose": compose(engine, deployment, models, gpu) if engine.image else "",
        "commands": "\n".join(command_lines(engine, deployment, models).values()),
        "pull": "\n".join(pulls(engine, deployment, models)),
        "curl": "\n".join(curl(engine, deployment, models, "Hello!").values()),
    }
    return {part: text for part, text in said.items() if text}


def pulls(engine: Engine, deployment: Deployment, models: Mapping[str, Model]) -> list[str]:
    """The ``curl`` lines that have running servers fetch the models that they take from a library of their own."""
    specs = engine.servers(deployment, _named(engine, models, MODELS), ENGINE, MODELS)
    return [_asked(spec, question) for spec in specs for question in spec.pulls]


def curl(engine: Engine, deployment: Deployment, models: Mapping[str, Model], prompt: str) -> dict[str, str]:
    """Model to the ``curl`` line that asks it as the study does."""
    named = _named(engine, models, MODELS)
    return {
        model: _asked(spec, engine.ask(deployment, named[model], prompt, 64, 0))
        for spec in engine.servers(deployment, named, ENGINE, MODELS)
        for model in spec.models
    }


def _asked(spec: ServerSpec, question: Question) -> str:
    body = shlex.quote(json.dumps(dict(question.body), ensure_ascii=False))
    url = f"http://127.0.0.1:{spec.port}{question.path}"
    return f"curl --no-buffer {url} --header 'content-type: application/json' --data {body}"


def command_lines(engine: Engine, deployment: Deployment, models: Mapping[str, Model]) -> dict[str, str]:
    """Server to the plain command line that starts it, its variables first, in the folder that ``lay-out`` filled.

    Programs of an engine that ran in containers are called by name.
    """
    home = laid_out(engine, deployment) if deployment.runs_as == "process" else ENGINE
    here = Path(MODELS.name)
    lines = {}
    for spec in engine.servers(deployment, _named(engine, models, here), home, here):
        line = shlex.join(["env", *(f"{k}={v}" for k, v in _theirs(spec).items()), *spec.argv])
        for place in (f"{ROOT}/", f"{ENGINE}/bin/", f"{ENGINE}/"):
            line = line.replace(place, "")
        lines[spec.name] = line
    return lines


def laid_out(engine: Engine, deployment: Deployment) -> Path:
    """Where ``lay-out`` puts the engine of a deployment that runs as processes."""
    return Path("engines") / f"{engine.name}-{deployment.version}"


def _theirs(spec: ServerSpec) -> dict[str, str]:
    """Variables that the engine itself knows."""
    return {key: value for key, value in spec.environment.items() if not key.startswith("SERVING_STUDY_")}


def _named(engine: Engine, models: Mapping[str, Model], place: Path) -> dict[str, Prepared]:
    """Models as they are called below ``place``, prepared on this machine or not."""
    return {
        name: Prepared(name, spec)
        if by_name(spec, engine.formats)
        else Prepared(name, spec, gguf=place / f"{name}.gguf", folder=place / name)
        for name, spec in models.items()
    }


def _service(spec: ServerSpec, pinned: Mapping[str, Any], models: Mapping[str, Model], gpu: bool) -> dict[str, Any]:
    """One service of a compose file; ``pinned`` says which image."""
    words = list(spec.argv[spec.image_words :])
    fetched = False
    for name in spec.models:
        source, folder = models[name].source, str(MODELS / name)
        if isinstance(source, HuggingFaceSource) and folder in words:
            words[words.index(folder)] = source.repository
            words += ["--revision", source.revision]
            fetched = True
    environment = {k: v for k, v in _theirs(spec).items() if not (fetched and k == "HF_HUB_OFFLINE")}
    service: dict[str, Any] = {
        **pinned,
        "command": [word.replace("$", "$$") for word in words],
        "environment": {key: value.replace("$", "$$") for key, value in environment.items()},
        "network_mode": "host",
        "ipc": "host",
        "volumes": [f"./models:{MODELS}", *(["./hub:/root/.cache/huggingface"] if fetched else [])],
    }
    if gpu and not spec.service:
        devices = [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
        service["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    return service
