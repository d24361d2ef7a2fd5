"""Ollama: one server that loads models on demand, each in a ``llama-server`` of llama.cpp that it starts as a child."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

from serving_study.engines.base import Prepared, Question, Refusal, Server, ServerSpec, Setting, said
from serving_study.serving import control, llama_server, machine
from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment, OllamaSource

ENVS = Path(__file__).parents[2] / "workflow" / "envs"
STORE = "ollama-models"
OWN = "path"
"""The version that means: the Ollama on this machine's PATH, as its user installed it."""

NOT_SETTINGS = (
    *("OLLAMA_HOST", "OLLAMA_KEEP_ALIVE", "OLLAMA_MODELS", "OLLAMA_NOPRUNE"),
    *("OLLAMA_DEBUG", "OLLAMA_LOAD_TIMEOUT", "OLLAMA_ORIGINS", "OLLAMA_REMOTES"),
)
"""Variables that say where a server stands, not how it serves, or that its log tells in other words."""

OPTIONS = (
    *("debug", "debug-log-requests", "flash-attention", "go-template", "gpu-overhead", "igpu-enable", "keep-alive"),
    *("llm-library", "load-timeout", "max-queue", "max-transfer-streams", "no-cloud", "noprune", "origins"),
    *("remotes", "sched-spread", "vulkan"),
)
"""What its server reads from the environment, without ``OLLAMA_``; envconfig/config.go of 0.34.0 documents each."""

KEYS = {
    "context-length": "use context",
    "host": "use port",
    "kv-cache-type": "use kv_type",
    "max-loaded-models": "use max_loaded",
    "models": "leave it out",
    "num-parallel": "use slots",
}
"""What it reads, too, and the study sets, with what to do instead."""

CHILD = """#!/bin/sh
# llama.cpp's server as Ollama starts it, with the arguments that only the study knows behind Ollama's own
exec {server} "$@" $SERVING_STUDY_LLAMA_ARGS
"""

SAID_IN_LOG = {
    "slots": r"n_slots = (\d+)",
    "context_per_slot": r"n_ctx_slot = (\d+)",
    "kv_unified": r"kv_unified = '(\w+)'",
    "threads": r"system_info: n_threads = (\d+)",
    "batch": r"llama_context: n_batch +=\s+(\d+)",
    "micro_batch": r"llama_context: n_ubatch +=\s+(\d+)",
    "flash_attention": r"Flash Attention (enabled|disabled)",
    "kv_key_type": r"llama_kv_cache: size = .* K \((\w+)\)",
    "kv_value_type": r"llama_kv_cache: size = .* V \((\w+)\)",
    "load_mode": r"\(load_mode = (\w+)\)",
    "host_prompt_cache": r"prompt cache is (enabled|disabled)",
    "weights": r"print_info: file type +=\s+(\S.*?)\s*$",
    "layers_on_accelerator": r"offloaded (\d+/\d+) layers",
    "instructions": r"system_info: .*\| CPU : (.*?) \|\s*$",
    "chat_template": r"template selection.* selected=(\w+)",
}
"""Setting of a loaded model to where the log of its ``llama-server`` says what ran."""

BUFFERS = {
    "weights": r"load_tensors: .*model buffer size = +([\d.]+) MiB",
    "kv_capacity": r"llama_kv_cache(?:_\w+)?: .*KV buffer size = +([\d.]+) MiB",
    "compute": r"sched_reserve: .*compute buffer size = +([\d.]+) MiB",
    "output": r"llama_context: .*output buffer size = +([\d.]+) MiB",
}
"""Part of the memory to the log lines that, summed, give its size."""


class Ollama:
    """Ollama's server in front of llama.cpp.

    Its prompt cache cannot be turned off: the nonce at the start of each prompt defeats it. It passes no
    ``ignore_eos`` on: the ``llama-server`` below the one that the study installs is started with it, so that answers
    have the length of the other engines'; below an Ollama of the user's own they may end early.
    """

    name = "ollama"
    title = "Ollama"
    formats: tuple[str, ...] = ("gguf", "name")
    reserves = False
    image: str | None = "ollama/ollama:{version}"
    understands: tuple[str, ...] = ("threads", "prefix_cache", "max_loaded", "options", "environment")
    kv_types: tuple[str, ...] = ("f16", "bf16", "f32", "q8_0")
    counters: Mapping[str, str] = {
        "generated_tokens": "llamacpp:tokens_predicted_total",
        "prompt_tokens": "llamacpp:prompt_tokens_total",
        "running": "llamacpp:requests_processing",
        "waiting": "llamacpp:requests_deferred",
        "decode_steps": "llamacpp:n_decode_total",
    }

    def refuses(self, deployment: Deployment) -> Iterator[Refusal]:
        """Options that it does not know: it ignores such a variable without a word."""
        for option, value in deployment.options.items():
            name = option.lower().replace("_", "-")
            if name in KEYS:
                yield f"options.{option}", value, f"the study sets it itself. Next: {KEYS[name]}"
            elif name not in OPTIONS:
                near = difflib.get_close_matches(name, (*OPTIONS, *KEYS), n=1)
                meant = f"; did you mean {near[0]}?" if near else "."
                known = ", ".join(OPTIONS)
                yield f"options.{option}", value, f"Ollama would ignore it{meant} Next: name one of {known}"

    def lock(self, version: str) -> str | None:
        """No Python environment: ``workflow/envs/ollama-VERSION.json`` holds its Go module and the hashes."""
        return None

    def unavailable(self, deployment: Deployment) -> str | None:
        """Building it needs Go of its release and what llama.cpp's server needs."""
        if deployment.runs_as != "process":
            return machine.lacks_for_container() if deployment.runs_as == "container" else None
        if deployment.version == OWN:
            return None if shutil.which("ollama") else "version: path, but there is no ollama on PATH"
        wanted = _pinned(deployment.version)
        if shutil.which("go") is None:
            return f"Ollama is built with Go {wanted['go']} and there is no go on PATH (see https://go.dev/dl)"
        said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"go(\d+)\.(\d+)", said)
        if not found or tuple(map(int, found.groups())) < tuple(map(int, wanted["go"].split("."))):
            return f"Ollama {deployment.version} is built with Go {wanted['go']} or later; here is {said.strip()}"
        return llama_server.unavailable(wanted["llama_server"])

    def install(self, version: str, home: Path) -> None:
        """``go install`` of the locked module, its hashes compared, beside the llama.cpp build that it pins."""
        if version == OWN:
            return
        wanted = _pinned(version)
        flags = f"-X {wanted['module']}/version.Version={version}"
        done = subprocess.run(
            ["go", "install", "-trimpath", "-ldflags", flags, f"{wanted['module']}@{wanted['version']}"],
            env={**os.environ, "GOBIN": str(home / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = "\n".join(f"  go: {line}" for line in done.stderr.splitlines()[-8:])
            raise StudyError(f"Ollama {version}: go install failed. Next: see what it said.\n{last}")
        modules = _modules(home / "bin" / "ollama")
        if (modules[0], modules[1]) != (wanted["sum"], wanted["modules_sha256"]):
            raise StudyError(f"workflow/envs/ollama-{version}.json: Go built it from other modules: {modules}")
        library = home / "lib" / "ollama"
        library.mkdir(parents=True)
        child = library / "llama-server"
        child.write_text(CHILD.format(server=llama_server.built(wanted["llama_server"])), encoding="utf-8")
        child.chmod(0o755)

    def lay_out(self, deployment: Deployment, models: Mapping[str, Prepared], scratch: Path) -> None:
        """A store of its own that links to the models' unchanged files."""
        for name in deployment.models:
            _import(scratch / STORE, models[name])

    def servers(
        self, deployment: Deployment, models: Mapping[str, Prepared], home: Path, scratch: Path
    ) -> list[ServerSpec]:
        """One server for all models."""
        port = deployment.port or 11434
        place = {
            "HOME": str(scratch),
            "OLLAMA_HOST": f"127.0.0.1:{port}",
            "OLLAMA_MODELS": str(scratch / STORE),
        }
        return [
            ServerSpec(
                name=self.name,
                models=deployment.models,
                port=port,
                argv=(_executable(home, deployment.version), "serve"),
                environment={**place, **self._asked(deployment)},
                start_timeout_s=300,
                stop_timeout_s=10,
                reads=tuple(m.gguf for name in deployment.models if (m := models[name]).gguf),
                writes=(scratch,),
                pulls=tuple(question for name in deployment.models for question in _pulls(models[name])),
            )
        ]

    def _asked(self, deployment: Deployment) -> dict[str, str]:
        """Variables of the server, beside where it stands."""
        threads = deployment.threads or max(1, len(os.sched_getaffinity(0)) - 1)
        asked = {
            "OLLAMA_NO_CLOUD": "1",
            "OLLAMA_NOPRUNE": "1",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_CONTEXT_LENGTH": str(deployment.context),
            "OLLAMA_NUM_PARALLEL": str(deployment.slots),
            "OLLAMA_MAX_LOADED_MODELS": str(deployment.max_loaded or len(deployment.models)),
            "LLAMA_ARG_THREADS": str(threads),
            "LLAMA_ARG_ENDPOINT_METRICS": "1",
            "SERVING_STUDY_LLAMA_ARGS": "--ignore-eos",
            "GIN_MODE": "release",
        }
        if deployment.kv_type != "auto":
            asked["OLLAMA_KV_CACHE_TYPE"] = deployment.kv_type
        if not deployment.prefix_cache:
            asked["LLAMA_ARG_CACHE_RAM"] = "0"
        for option, value in deployment.options.items():
            asked[f"OLLAMA_{option.upper().replace('-', '_')}"] = str(int(value) if isinstance(value, bool) else value)
        return {**asked, **deployment.environment}

    def ask(self, deployment: Deployment, model: Prepared, prompt: str, max_tokens: int, seed: int) -> Question:
        """Greedy; raw prompts by ``/api/generate``, the only way that applies no template."""
        if model.spec.api == "chat":
            body: dict[str, Any] = {
                "model": model.name,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": max_tokens,
                "temperature": 0,
                "seed": seed,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            return Question("/v1/chat/completions", body, "openai-chat")
        options = {"temperature": 0, "seed": seed, "num_predict": max_tokens}
        body = {"model": model.name, "prompt": prompt, "raw": True, "truncate": False, "options": options}
        return Question("/api/generate", {**body, "stream": True}, "ollama")

    def versions(self, home: Path) -> dict[str, str]:
        """Of Ollama, of the Go that built it and of the llama.cpp below it."""
        if not (home / "bin" / "ollama").exists():
            said = subprocess.run(["ollama", "--version"], capture_output=True, text=True, check=False).stdout
            found = re.search(r"version(?: is)? (\d\S*)", said)
            return {"ollama": found[1] if found else "unknown", "llama.cpp": "as this Ollama was installed with"}
        program = home / "bin" / "ollama"
        built = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=False).stdout
        module = re.search(r"^\tmod\t\S+\tv(\S+)", built, re.MULTILINE)
        child = subprocess.run(
            [home / "lib" / "ollama" / "llama-server", "--version"], capture_output=True, text=True, check=False
        )
        build = re.search(r"build (\d+)", child.stderr + child.stdout)
        return {
            "ollama": module[1] if module else "unknown",
            "go": built.split("\n", 1)[0].rsplit(": ", 1)[-1],
            "llama.cpp": f"b{build[1]}" if build else "unknown",
        }

    def settings(self, deployment: Deployment, models: Mapping[str, Prepared], server: Server) -> list[Setting]:
        """From ``/api/version``, the log's ``server config`` and what each model's ``llama-server`` logged.

        Where no log tells the type of the weights, ``/api/show`` does.
        """
        version = control.told(server, "/api/version").get("version")
        asked = {} if server.spec.external else self._asked(deployment)
        wanted = None if deployment.version == OWN else deployment.version
        found = [Setting("version", wanted, said(version), "/api/version")]
        logged = _log(server)
        for variable, value in sorted(asked.items()):
            if variable.startswith("OLLAMA_") and variable not in NOT_SETTINGS:
                told = re.search(rf"\b{variable}:(\S*)", logged)
                ran = {"true": "1", "false": "0"}.get(told[1], told[1].rstrip('"]')) if told else None
                found.append(Setting(variable.lower(), value, ran, "log: server config", self.name))
        compute = re.search(r"inference compute.* library=(\w+)", logged)
        found.append(Setting("compute", None, compute[1] if compute else None, "log: inference compute", self.name))
        children = _children(server)
        for model in server.spec.models:
            found += self._settings_of(deployment, models[model], server, asked, children.get(model, ""))
        return found

    def _settings_of(
        self, deployment: Deployment, model: Prepared, server: Server, asked: Mapping[str, str], child: str
    ) -> Iterator[Setting]:
        """What the ``llama-server`` of one model tells; ``child`` is its log."""
        kv = None if deployment.kv_type == "auto" else deployment.kv_type
        wanted = {
            "slots": str(deployment.slots),
            "context_per_slot": str(deployment.context),
            "threads": asked.get("LLAMA_ARG_THREADS", said(deployment.threads)),
            "weights": deployment.weights or model.spec.weights,
            "kv_key_type": kv,
            "kv_value_type": kv,
        }
        if not server.spec.external:
            wanted["host_prompt_cache"] = "enabled" if deployment.prefix_cache else "disabled"
        for name, pattern in SAID_IN_LOG.items():
            match = re.search(pattern, child, re.MULTILINE)
            ran, source = match[1] if match else None, "log: llama-server"
            if name == "weights":
                ran, source = (llama_server.weights(ran), source) if ran else (_shown(server, model), "/api/show")
            yield Setting(name, wanted.get(name), ran, source, model.name)
        ignored = None if server.spec.external else "true"
        yield Setting("ignore_eos", ignored, _ignores_end(child), "/props of llama-server", model.name)

    def read_counters(self, server: Server) -> dict[str, float]:
        """From ``/metrics`` of each ``llama-server`` that is its child, summed; Ollama itself counts nothing."""
        sums: dict[str, float] = {}
        for url in _child_urls(server):
            with contextlib.suppress(requests.ConnectionError):  # it was unloaded just now
                read = control.counters(server, self.counters, at=url)
                sums |= {name: sums.get(name, 0) + value for name, value in read.items()}
        return sums

    def memory(self, server: Server) -> dict[str, float]:
        """Buffers of the loaded models as their ``llama-server`` logged them, and Ollama's own estimate."""
        loaded = _loaded(server)
        if not loaded:
            return {}
        sizes = {
            "engine_estimate": float(sum(m["size"] for m in loaded.values())),
            "engine_estimate_accelerator": float(sum(m["size_vram"] for m in loaded.values())),
        }
        for model, child in _children(server).items():
            for part, pattern in BUFFERS.items() if model in loaded else ():
                said = sum(map(float, re.findall(pattern, child, re.MULTILINE))) * 2**20
                sizes[part] = sizes.get(part, 0) + said
        return sizes

    def load_model(self, server: Server, model: Prepared) -> None:
        """A request without a prompt loads the model."""
        self._generate(server, {"model": model.name})

    def unload_model(self, server: Server, model: Prepared) -> None:
        """``keep_alive: 0``; returns when Ollama lists the model no more."""
        self._generate(server, {"model": model.name, "keep_alive": 0})
        deadline = time.monotonic() + 30
        while model.name in _loaded(server):
            if time.monotonic() > deadline:
                raise StudyError(f"ollama: {model.name} is still loaded 30 s after keep_alive: 0")
            time.sleep(0.01)

    def _generate(self, server: Server, body: dict[str, Any]) -> None:
        question = {**body, "stream": False}
        requests.post(
            f"{server.url}/api/generate", json=question, headers=control.headers(server), timeout=300
        ).raise_for_status()


def _pinned(version: str) -> dict[str, str]:
    lock = ENVS / f"ollama-{version}.json"
    if not lock.is_file():
        known = sorted(f.stem.removeprefix("ollama-") for f in ENVS.glob("ollama-*.json"))
        raise StudyError(
            f"workflow/envs/{lock.name}: there is no lock for Ollama {version}: locked are {', '.join(known)}. "
            f"Next: name one of these in the study, or `{OWN}` for the Ollama on PATH"
        )
    pinned: dict[str, str] = json.loads(lock.read_text(encoding="utf-8"))
    return pinned


def _modules(program: Path) -> tuple[str, str]:
    """Sum of the main module, and sha256 over the sorted lines of all modules that went into ``program``."""
    said = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, check=True).stdout
    parts = [line.split("\t")[1:] for line in said.splitlines() if line.startswith(("\tmod\t", "\tdep\t", "\t=>\t"))]
    lines = sorted(" ".join(part) for part in parts)
    return next(p[3] for p in parts if p[0] == "mod"), hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _executable(home: Path, version: str) -> str:
    return (shutil.which("ollama") or "ollama") if version == OWN else str(home / "bin" / "ollama")


def _import(store: Path, model: Prepared) -> None:
    """Put the model into a store under the study's name for it, its bytes linked, nothing converted or added.

    ``ollama create`` would requantise and write a template of its own: another question would be measured.
    """
    (store / "blobs").mkdir(parents=True, exist_ok=True)
    place = store / "manifests" / "registry.ollama.ai" / "library" / model.name / "latest"
    place.parent.mkdir(parents=True, exist_ok=True)
    if model.gguf is None:
        place.write_text(json.dumps(_pulled(store, model)), encoding="utf-8")
        return
    digest = f"sha256:{model.sha256}"
    _link(store, digest, model.gguf)
    config = {"model_format": "gguf", "os": "linux", "architecture": "amd64"}
    text = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode()
    named = f"sha256:{hashlib.sha256(text).hexdigest()}"
    (store / "blobs" / named.replace(":", "-")).write_bytes(text)
    kind = "application/vnd.docker"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{kind}.container.image.v1+json", "digest": named, "size": len(text)},
        "layers": [
            {
                "mediaType": "application/vnd.ollama.image.model",
                "digest": digest,
                "size": model.gguf.stat().st_size,
            }
        ],
    }
    place.write_text(json.dumps(manifest), encoding="utf-8")


def _pulls(model: Prepared) -> tuple[Question, ...]:
    """What makes a running server fetch a model of Ollama's library and call it as the study does; nothing for a file."""
    if model.gguf:
        return ()
    wanted = _library_name(model)
    copy = {"source": wanted, "destination": model.name}
    return Question("/api/pull", {"model": wanted}, "ollama"), Question("/api/copy", copy, "ollama")


def _library_name(model: Prepared) -> str:
    source = model.spec.source
    return source.ollama if isinstance(source, OllamaSource) else model.spec.ollama or model.name


def _pulled(store: Path, model: Prepared) -> dict[str, Any]:
    """The manifest of a model of Ollama's library out of the user's own store, its files linked into ``store``."""
    wanted = _library_name(model)
    name, _, tag = wanted.partition(":")
    own = Path(os.environ.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models")
    place = own / "manifests" / "registry.ollama.ai" / (name if "/" in name else f"library/{name}") / (tag or "latest")
    if not place.is_file():
        raise StudyError(
            f"models.{model.name}.source.ollama = {wanted}: not in the store {own}. Next: run `ollama pull {wanted}`"
        )
    manifest: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    for part in (manifest["config"], *manifest["layers"]):
        _link(store, part["digest"], own / "blobs" / part["digest"].replace(":", "-"))
    return manifest


def _link(store: Path, digest: str, file: Path) -> None:
    blob = store / "blobs" / digest.replace(":", "-")
    blob.unlink(missing_ok=True)
    blob.symlink_to(file.resolve())


def _loaded(server: Server) -> dict[str, Any]:
    """Model to what ``/api/ps`` says of it."""
    return control.read(
        server, "/api/ps", lambda answer: {m["name"].removesuffix(":latest"): m for m in answer.json()["models"]}, {}
    )


def _shown(server: Server, model: Prepared) -> str | None:
    """The type of a model's weights as ``/api/show`` tells it."""

    def understood(answer: requests.Response) -> str:
        return str(answer.json()["details"]["quantization_level"])

    level = control.read(server, "/api/show", understood, "", body={"model": model.name})
    return level if level not in ("", "unknown") else None


def _children(server: Server) -> dict[str, str]:
    """Model to what its latest ``llama-server`` logged, from its command line on."""
    return dict(_sections(server))


def _sections(server: Server) -> Iterator[tuple[str, str]]:
    store = Path(server.spec.environment.get("OLLAMA_MODELS", ""))
    names: dict[str, str] = {}
    for name in server.spec.models:
        place = store / "manifests" / "registry.ollama.ai" / "library" / name / "latest"
        layers = json.loads(place.read_text(encoding="utf-8"))["layers"] if place.is_file() else []
        names |= {part["digest"].replace(":", "-"): name for part in layers}
    for section in re.split(r'(?=msg="starting llama-server")', _log(server))[1:]:
        blob = re.search(r"--model \S*/(sha256-[0-9a-f]+)", section)
        if blob and blob[1] in names:
            yield names[blob[1]], section


def _child_urls(server: Server) -> Iterator[str]:
    """Of the processes themselves: cheaper than the log, which grows with every request."""
    children = psutil.Process(server.pid).children() if server.pid is not None else []
    for child in children:
        with contextlib.suppress(psutil.Error, ValueError):
            words = child.cmdline()
            yield f"http://127.0.0.1:{words[words.index('--port') + 1]}"


def _child_url(section: str) -> str | None:
    port = re.search(r"--port (\d+)", section)
    return f"http://127.0.0.1:{port[1]}" if port else None


def _ignores_end(section: str) -> str | None:
    """Whether the child never draws the end-of-text token; None when it runs no more."""
    try:
        props = requests.get(f"{_child_url(section)}/props", timeout=5).json()
        return str(props["default_generation_settings"]["params"]["ignore_eos"]).lower()
    except (requests.RequestException, KeyError):
        return None


def _log(server: Server) -> str:
    return server.log.read_text(encoding="utf-8", errors="replace") if server.log else ""


ENGINE = Ollama()
