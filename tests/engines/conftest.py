"""Deployments of the default study's two models on any engine, and what they must agree on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from serving_study import engines
from serving_study.engines.base import Engine, Prepared, Server
from serving_study.serving import ports
from serving_study.serving.install import install
from serving_study.serving.life import life
from serving_study.serving.models import prepare
from serving_study.serving.placement import placed
from serving_study.serving.ready import wait_until_ready
from serving_study.study.types import Deployment, Study

MODELS = ("smollm2-135m", "gemma3-270m")
SENTENCES = {
    "en": "7c The library closes at nine in the evening, but you can return books at any time.",
    "zh": "3f 图书馆晚上九点关门，但是你可以随时还书。",
    "ko": "b2 도서관은 저녁 아홉 시에 문을 닫지만 책은 언제든지 반납할 수 있습니다.",
}


@dataclass(frozen=True)
class Answer:
    """What one streamed answer came to."""

    text: str
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True)
class Up:
    """A deployment that runs."""

    engine: Engine
    deployment: Deployment
    models: dict[str, Prepared]
    servers: dict[str, Server]

    def of(self, model: str) -> Server:
        return next(s for s in self.servers.values() if model in s.spec.models)

    def ask(self, model: str, prompt: str, tokens: int = 8) -> Answer:
        question = self.engine.ask(self.deployment, self.models[model], prompt, tokens, 7)
        answer = requests.post(self.of(model).url + question.path, json=dict(question.body), timeout=300)
        assert answer.status_code == 200, answer.text[:500]
        return read(question.dialect, answer.content.decode())


def read(dialect: str, text: str) -> Answer:
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.rstrip().endswith("}")]
    if dialect == "ollama":
        last = events[-1]
        said = "".join(e.get("response", "") for e in events)
        return Answer(said, last["prompt_eval_count"], last["eval_count"], last.get("prompt_eval_cached_count") or 0)
    usage = next(e["usage"] for e in reversed(events) if e.get("usage"))
    choices = [c for e in events for c in e["choices"]]
    said = "".join(c["text"] if "text" in c else c["delta"].get("content") or "" for c in choices)
    details = usage.get("prompt_tokens_details") or {}
    return Answer(said, usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens") or 0)


@pytest.fixture(scope="session")
def bring_up(
    quickstart: Study, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Deployment], AbstractContextManager[Up]]:
    """A deployment from its description to its last process."""

    @contextmanager
    def up(asked: Deployment) -> Iterator[Up]:
        engine = engines.load(asked.engine)
        reason = engine.unavailable(asked)
        if reason:
            pytest.skip(f"{engine.title}: {reason}")
        home = install(engine, asked.version) if asked.runs_as == "process" else Path()
        models = {name: prepare(name, quickstart.models[name], engine.formats) for name in asked.models}
        scratch = tmp_path_factory.mktemp(asked.engine)

        def ready(server: Server) -> None:
            for name in server.spec.models:
                wait_until_ready(server, engine.ask(asked, models[name], "Hello", 2, 7))

        mark = f"STUDY_TEST_MARK={uuid.uuid4().hex}"
        specs = [
            dataclasses.replace(spec, environment={**spec.environment, **dict([mark.split("=")])})
            for spec in placed(engine, asked, models, home, scratch)
        ]
        with life(specs, scratch / "logs", ready) as alive:
            yield Up(engine, asked, models, alive.servers)
        assert living(mark) == [], "processes that outlived their deployment"

    return up


def living(mark: str) -> list[str]:
    """Processes, whoever's children they are now, that inherited ``mark`` from a server's environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text())
    return found


@pytest.fixture
def deploy() -> Callable[..., Deployment]:
    """A deployment of both models, two slots and one thread, on free ports."""

    def described(engine: str, version: str, **more: object) -> Deployment:
        base = {"engine": engine, "version": version, "models": MODELS, "threads": 1, "slots": 2, "context": 512}
        return Deployment.model_validate({**base, "port": ports.free(), **more})

    return described


@pytest.fixture(scope="session")
def reference(
    quickstart: Study, bring_up: Callable[[Deployment], AbstractContextManager[Up]]
) -> dict[tuple[str, str], int]:
    """Prompt tokens of each model and language, as the default engine counts them."""
    (version,) = {d.version for d in quickstart.deployments.values()}
    asked = Deployment(engine="llamacpp", version=version, models=MODELS, threads=1, context=512, port=ports.free())
    with bring_up(asked) as up:
        return {
            (model, language): up.ask(model, sentence, 1).prompt_tokens
            for model in MODELS
            for language, sentence in SENTENCES.items()
        }


def scratch_of(up: Up) -> Path:
    """Where the deployment keeps what it wrote."""
    return next(iter(up.servers.values())).log.parent.parent  # type: ignore[union-attr]
