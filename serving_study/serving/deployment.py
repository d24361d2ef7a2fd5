"""A deployment brought up from its plan: what every measuring job begins with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serving_study import engines
from serving_study.engines.base import Engine, Prepared, Question, Server
from serving_study.load.payload import key_from_environment
from serving_study.serving import containers
from serving_study.serving.cache import portable
from serving_study.serving.device import measuring_alone
from serving_study.serving.install import install
from serving_study.serving.interrupts import interruptible
from serving_study.serving.life import Life, life
from serving_study.serving.models import prepare
from serving_study.serving.placement import placed
from serving_study.serving.ready import wait_until_ready
from serving_study.study.plans import DeploymentPlan


@dataclass(frozen=True, slots=True)
class Target:
    """Where a model is asked, and how its engine words a request."""

    server: str
    url: str
    ask: Callable[[str, int, int], Question]
    """Prompt, output tokens and seed to the request."""


@dataclass(frozen=True, slots=True)
class Running:
    """A deployment whose servers have answered a real completion for each of their models."""

    plan: DeploymentPlan
    engine: Engine
    home: Path
    models: dict[str, Prepared]
    life: Life
    image: str | None = None
    """Of containers, with its digest."""

    def server_of(self, model: str) -> Server:
        """The server that answers for ``model``."""
        return next(s for s in self.life.servers.values() if model in s.spec.models)

    def ask(self, model: str, prompt: str, max_tokens: int, seed: int) -> Question:
        """The request that asks ``model``."""
        return self.engine.ask(self.plan.deployment, self.models[model], prompt, max_tokens, seed)

    def targets(self, models: Iterable[str]) -> dict[str, Target]:
        """Where each of these models is asked, and how."""
        asked = {model: self.server_of(model) for model in models}
        return {m: Target(server.spec.name, server.url, partial(self.ask, m)) for m, server in asked.items()}

    @property
    def key(self) -> str | None:
        """The bearer key that the environment holds: for external servers only."""
        return key_from_environment() if self.plan.deployment.runs_as == "external" else None

    def versions(self) -> dict[str, str]:
        """What runs: asked of the installed files; of a container its image's tag, of an external server what the study says."""
        if self.plan.deployment.runs_as == "process":
            return self.engine.versions(self.home)
        return {self.engine.name: self.plan.deployment.version, **({"image": self.image} if self.image else {})}

    def pids(self) -> dict[str, int]:
        """Server to the root of its process tree; external servers are left out."""
        roots = {
            name: containers.process_of(server.spec.container) if server.spec.container else server.pid
            for name, server in self.life.servers.items()
        }
        return {name: pid for name, pid in roots.items() if pid is not None}

    def command_lines(self) -> dict[str, tuple[str, ...]]:
        """Server to the argv that runs, in words that mean the same on another machine."""
        return {name: tuple(map(portable, s.spec.argv)) for name, s in self.life.servers.items()}

    def counter_readers(self) -> dict[str, Callable[[], dict[str, float]]]:
        """Server to what reads its engine's counters."""
        return {name: partial(self.engine.read_counters, server) for name, server in self.life.servers.items()}

    def counters(self) -> dict[str, dict[str, float]]:
        """Server to the engine's counters now."""
        return {name: read() for name, read in self.counter_readers().items()}


@contextmanager
def started(plan: DeploymentPlan, log_folder: Path) -> Iterator[Running]:
    """Bring the deployment up alone on this host, and down again whatever happens.

    The engine and the models come from the cache (installed on the way if they are not there). Raises StudyError when a
    server does not start, dies or is no longer the same process at the end. A signal, or the end of the process that
    started this one, leads out from the first moment on: also while it installs or waits for another measurement.
    """
    with interruptible():
        engine = engines.load(plan.deployment.engine)
        place = plan.deployment.runs_as
        home = install(engine, plan.deployment.version) if place == "process" else Path()
        image = containers.pulled(engine, plan.deployment.version) if place == "container" else None
        models = {
            name: Prepared(name, spec) if place == "external" else prepare(name, spec, engine.formats)
            for name, spec in plan.models.items()
        }

        def ready(server: Server) -> None:
            for model in server.spec.models:
                wait_until_ready(server, engine.ask(plan.deployment, models[model], "Hello", 2, plan.seed))

        with measuring_alone(), tempfile.TemporaryDirectory(prefix="serving-study-") as scratch:
            specs = placed(engine, plan.deployment, models, home, Path(scratch))
            with life(specs, log_folder, ready) as alive:
                yield Running(plan, engine, home, models, alive, image)
