"""What every engine says of itself, and the words in which it says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from serving_study.study.types import Deployment, Model, Scalar


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model whose files lie in the cache, checked by hash."""

    name: str
    spec: Model
    gguf: Path | None = None
    folder: Path | None = None
    """Hugging Face folder."""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """How to start one server: a process tree that answers on one port."""

    name: str
    """The model's name, or the engine's where one server serves all."""
    models: tuple[str, ...]
    port: int
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 300.0
    stop_timeout_s: float = 15.0
    image_words: int = 1
    """Leading words of ``argv`` for which the entry point of the official image stands."""
    reads: tuple[Path, ...] = ()
    """Files and folders outside the engine's own that the server opens: a container mounts them in the same place."""
    writes: tuple[Path, ...] = ()
    """Folders that it writes to."""
    service: Mapping[str, Any] = field(default_factory=dict)
    """What a compose file says in place of the engine's image, which is built for GPUs, where this server runs without one."""
    pulls: tuple[Question, ...] = ()
    """Requests with which the running server fetches its models that are no files, under the study's names."""
    container: str | None = None
    """Name of the container that it runs in."""
    url: str | None = None
    """Base URL of an external server, which is neither started nor stopped; ``argv`` is empty then."""

    @property
    def external(self) -> bool:
        """Whether somebody else runs it."""
        return self.url is not None


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    spec: ServerSpec
    url: str
    """Base URL without a trailing slash."""
    pid: int | None
    """None for an external server."""
    log: Path | None


@dataclass(frozen=True, slots=True)
class Question:
    """One request before it is put on the wire."""

    path: str
    body: Mapping[str, Any]
    dialect: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that was asked for, and what the server says it runs with."""

    name: str
    asked: str | None
    ran: str | None
    """None when the server does not tell."""
    source: str
    """Where the server said it: ``/props``, log line, ``/api/ps`` ..."""
    server: str = ""


def said(value: object) -> str | None:
    """What a server told, as text; None where it told nothing."""
    return None if value is None else str(value)


def flags(options: Mapping[str, Scalar], negated: bool = False) -> tuple[str, ...]:
    """A command line's options: ``{"dtype": "float16", "enforce-eager": True}``.

    One that is false is left out, or becomes ``--no-NAME`` where the program knows that (``negated``).
    """
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words += [f"--{name}"] if value else [f"--no-{name}"] if negated else []
        else:
            words += [f"--{name}", str(value)]
    return tuple(words)


WEIGHTS = {"bfloat16": "BF16", "float16": "F16", "half": "F16", "float32": "F32", "float": "F32"}
"""PyTorch's names of types to those that studies use."""

AT_START = ("router", "max_loaded", "options", "model_options", "environment")
"""Keys of a deployment that only whoever starts its servers can follow."""

OPTIONAL = ("threads", "memory_share", "prefix_cache", *AT_START)
"""Keys of a deployment that an engine may have no use for."""

OF_A_SERVER = ("threads", "memory_share", "prefix_cache", "options", "model_options", "environment")
"""Those of them that an engine with one server for each model, and no loading on demand, follows."""

Refusal = tuple[str, object, str]
"""Key below a deployment, its value, and why it is refused with what to do next."""


class Engine(Protocol):
    """One class a file; ``ENGINE`` in the module is an instance of it."""

    name: str
    title: str
    """As its makers write it."""
    counters: Mapping[str, str]
    """Our name of a counter to the engine's series, e.g. ``{"generated_tokens": "vllm:generation_tokens_total"}``."""
    formats: tuple[str, ...]
    """What it loads, best first: ``gguf``, ``folder``, ``name``."""
    reserves: bool
    """Whether it takes memory for its KV cache in advance: what it reserves is never ranked against what others use."""
    image: str | None
    """Official container image with its tag: ``{version}`` of the deployment, ``{build}`` for the last part of it."""
    understands: tuple[str, ...]
    """Those of ``OPTIONAL`` that it follows; a study that sets another one is refused."""
    kv_types: tuple[str, ...]
    """Types of the KV cache that it can be told to use, beside ``auto``."""

    def refuses(self, deployment: Deployment) -> Iterable[Refusal]:
        """Keys that it understands and would ignore, as this deployment has them."""

    def lock(self, version: str) -> str | None:
        """Path of the hash-locked requirements below ``workflow/envs/``; None when it is not a Python environment."""

    def unavailable(self, deployment: Deployment) -> str | None:
        """Why this machine cannot run it, or None."""

    def install(self, version: str, home: Path) -> None:
        """Install into the empty folder ``home``; called once, under a lock, and checked afterwards."""

    def lay_out(self, deployment: Deployment, models: Mapping[str, Prepared], scratch: Path) -> None:
        """Write below ``scratch`` what the servers expect to find there; called before they start."""

    def servers(
        self, deployment: Deployment, models: Mapping[str, Prepared], home: Path, scratch: Path
    ) -> list[ServerSpec]:
        """The servers of a deployment: argv and environment. Touches no file."""

    def ask(self, deployment: Deployment, model: Prepared, prompt: str, max_tokens: int, seed: int) -> Question:
        """The request that asks ``prompt`` with temperature 0 and exactly ``max_tokens`` output tokens where the engine can."""

    def versions(self, home: Path) -> dict[str, str]:
        """Name to version of what really runs (the engine and what it wraps)."""

    def settings(self, deployment: Deployment, models: Mapping[str, Prepared], server: Server) -> list[Setting]:
        """What was asked for, and what really ran, read from the server itself."""

    def read_counters(self, server: Server) -> dict[str, float]:
        """Our counter names to values now; empty where the engine has none."""

    def memory(self, server: Server) -> dict[str, float]:
        """Bytes the engine itself reports, by part: ``weights``, ``kv_capacity``, ``kv_used``, ``compute``; only what it tells."""

    def load_model(self, server: Server, model: Prepared) -> None:
        """Load on demand; raises NotImplementedError where models are fixed at start."""

    def unload_model(self, server: Server, model: Prepared) -> None:
        """Give the model's memory back; raises NotImplementedError where it cannot."""


def refusals(engine: Engine, deployment: Deployment) -> Iterator[Refusal]:
    """What a deployment asks of its engine and would ask in vain."""
    external = deployment.runs_as == "external"
    for key in OPTIONAL:
        value = getattr(deployment, key)
        if value == Deployment.model_fields[key].default:
            continue
        if key not in engine.understands:
            yield key, value, f"{engine.title} has no such setting and would ignore it. Next: leave it out"
        elif external and key in AT_START:
            yield key, value, "the study starts no external server. Next: leave it out, and set it where it is started"
    types = ("auto", *engine.kv_types)
    if deployment.kv_type not in types:
        yield "kv_type", deployment.kv_type, f"{engine.title} has no such type. Next: name one of {', '.join(types)}"
    if not external:
        yield from engine.refuses(deployment)
