"""llama.cpp: its own HTTP server, one process a model, or its router, which loads models on demand.

A version of the xllamacpp wheel (``2026.10.11549``) holds the server as a library. A build number (``10760``) means
``llama-server`` built from its locked source; only that has the router.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from serving_study.engines.base import AT_START, Prepared, Question, Refusal, Server, ServerSpec, Setting, flags, said
from serving_study.serving import control, llama_server, machine
from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment
from serving_study.telemetry import processors

MODELS = "models"
"""The router's folder of models."""

LAUNCHER = Path(__file__).parent / "launchers" / "llamacpp.py"

FIELDS = {
    "batch-size": "n_batch",
    "cache-ram": "cache_ram_mib",
    "flash-attn": "flash_attn_type",
    "threads-batch": "cpuparams_batch.n_threads",
    "ubatch-size": "n_ubatch",
}
"""Options of ``llama-server`` whose field in ``common_params`` has another name."""

SAID_IN_PROPS = ("slots", "context_per_slot", "model_name", "weights")
"""Settings that ``/props`` tells."""

SAID_IN_LOG = {
    "threads": r"system_info: n_threads = (\d+)",
    "batch": r"llama_context: n_batch +=\s+(\d+)",
    "micro_batch": r"llama_context: n_ubatch +=\s+(\d+)",
    "flash_attention": r"(?:Flash Attention|llama_context: flash_attn +=) (enabled|disabled)",
    "kv_key_type": r"llama_kv_cache: size = .* K \((\w+)\)",
    "kv_value_type": r"llama_kv_cache: size = .* V \((\w+)\)",
    "kv_unified": r"llama_context: kv_unified +=\s+(\w+)",
    "load_mode": r"load_tensors: .*\(load_mode = (\w+)\)",
    "host_prompt_cache": r"prompt cache is (enabled|disabled)",
    "instructions": r"system_info: .*\| CPU : (.*?) \|\s*$",
}
"""Setting to where the server's log says what ran."""

BUFFERS = {
    "weights": r"^\S+ I load_tensors: .*model buffer size = +([\d.]+) MiB",
    "kv_capacity": r"^\S+ I llama_kv_cache(?:_\w+)?: .*KV buffer size = +([\d.]+) MiB",
    "compute": r"^\S+ I sched_reserve: .*compute buffer size = +([\d.]+) MiB",
    "output": r"^\S+ I llama_context: .*output buffer size = +([\d.]+) MiB",
}
"""Part of the memory to the log lines that, summed, give its size."""


class LlamaCpp:
    """llama.cpp's HTTP server: slots of equal context, a prompt cache that is off unless the study wants it."""

    name = "llamacpp"
    title = "llama.cpp"
    formats = ("gguf",)
    reserves = False
    image: str | None = "ghcr.io/ggml-org/llama.cpp:server-b{build}"
    understands: tuple[str, ...] = ("threads", "prefix_cache", *AT_START)
    kv_types: tuple[str, ...] = ("f16", "bf16", "f32", "q8_0")
    counters: Mapping[str, str] = {
        "generated_tokens": "llamacpp:tokens_predicted_total",
        "prompt_tokens": "llamacpp:prompt_tokens_total",
        "cached_tokens": "llamacpp:prompt_tokens_cached_total",
        "running": "llamacpp:requests_processing",
        "waiting": "llamacpp:requests_deferred",
        "decode_steps": "llamacpp:n_decode_total",
        "longest_sequence": "llamacpp:n_tokens_max",
    }

    def refuses(self, deployment: Deployment) -> Iterator[Refusal]:
        """What belongs to the router without it, and what the router has not got."""
        if deployment.router and deployment.runs_as == "process" and not _from_source(deployment.version):
            yield "router", True, "the wheel has none. Next: name a build number, such as 10760, as version"
        if deployment.router and deployment.model_options:
            yield "model_options", deployment.model_options, "the router starts all models alike. Next: use options"
        if deployment.max_loaded is not None and not deployment.router:
            yield (
                "max_loaded",
                deployment.max_loaded,
                "each model has a server of its own and stays loaded. Next: set router: true, or leave it out",
            )

    def lock(self, version: str) -> str | None:
        """One lock a version of the wheel; a build from source is no Python environment."""
        return None if _from_source(version) else f"workflow/envs/llamacpp-{version}.lock"

    def unavailable(self, deployment: Deployment) -> str | None:
        """The wheel wants Linux, and AVX2 on x86-64; a build from source wants a compiler besides."""
        if deployment.runs_as != "process":
            return machine.lacks_for_container() if deployment.runs_as == "container" else None
        if platform.system() != "Linux":
            return f"servers are tied to their job by means of Linux; this is {platform.system()}"
        if platform.machine() == "x86_64" and " avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
            return "the wheel is built for processors with AVX2; this one has none (see /proc/cpuinfo)"
        return llama_server.unavailable(deployment.version) if _from_source(deployment.version) else None

    def install(self, version: str, home: Path) -> None:
        """A build from source; nothing beside the environment that its lock makes otherwise."""
        if _from_source(version):
            (home / "llama-server").symlink_to(llama_server.built(version))

    def lay_out(self, deployment: Deployment, models: Mapping[str, Prepared], scratch: Path) -> None:
        """The router's folder of models, by name."""
        folder = scratch / MODELS
        for name in deployment.models if deployment.router else ():
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.gguf").symlink_to(models[name].gguf or "")

    def servers(
        self, deployment: Deployment, models: Mapping[str, Prepared], home: Path, scratch: Path
    ) -> list[ServerSpec]:
        """One process a model, on consecutive ports; one router for all."""
        first = deployment.port or 8001
        if deployment.router:
            folder = scratch / MODELS
            held = deployment.max_loaded or len(deployment.models)
            what = ("--models-dir", str(folder), "--models-max", str(held))
            argv = (*self._command(deployment, home, first), *what)
            return [self._spec(deployment, self.name, deployment.models, first, argv, models, (folder,))]
        return [
            self._spec(deployment, name, (name,), port, self._argv(deployment, models[name], home, port), models)
            for port, name in enumerate(deployment.models, first)
        ]

    def _spec(
        self,
        deployment: Deployment,
        name: str,
        served: tuple[str, ...],
        port: int,
        argv: tuple[str, ...],
        models: Mapping[str, Prepared],
        folders: tuple[Path, ...] = (),
    ) -> ServerSpec:
        files = tuple(file for model in served if (file := models[model].gguf))
        return ServerSpec(
            name=name,
            models=served,
            port=port,
            argv=argv,
            environment=deployment.environment,
            start_timeout_s=180,
            stop_timeout_s=10,
            reads=(*files, *folders),
        )

    def _argv(self, deployment: Deployment, model: Prepared, home: Path, port: int) -> tuple[str, ...]:
        if _from_source(deployment.version) or deployment.runs_as == "container":
            return (
                *self._command(deployment, home, port, model.name),
                "--model",
                str(model.gguf),
                "--alias",
                model.name,
            )
        fields = {**self.fields(deployment), **self._options(deployment, model.name)}
        settings = [part for name, value in fields.items() for part in ("--set", f"{name}={value}")]
        start = [str(home / "bin" / "python"), "-I", str(LAUNCHER), "--port", str(port)]
        return (*start, "--model", str(model.gguf), "--alias", model.name, *settings)

    def _command(self, deployment: Deployment, home: Path, port: int, model: str = "") -> tuple[str, ...]:
        """``llama-server`` with the same settings as its own command line words them."""
        fields = self.fields(deployment)
        asked: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "ctx-size": fields["n_ctx"],
            "parallel": fields["n_parallel"],
            "threads": fields["cpuparams.n_threads"],
            "threads-batch": fields["cpuparams_batch.n_threads"],
            "no-kv-unified": True,
            "fit": "off",
            "metrics": True,
            "slots": True,
            "no-ui": True,
            "log-verbosity": 4,
        }
        if not deployment.prefix_cache:
            asked |= {"no-cache-prompt": True, "cache-ram": 0}
        if deployment.kv_type != "auto":
            asked |= {"cache-type-k": deployment.kv_type, "cache-type-v": deployment.kv_type}
        return (
            str(home / "llama-server"),
            *flags({**asked, **deployment.options, **deployment.model_options.get(model, {})}, negated=True),
        )

    def fields(self, deployment: Deployment) -> dict[str, str]:
        """Fields of ``common_params`` that the deployment fixes; nothing is left to fit itself to the machine.

        Unless the study says how many, the server computes on all cores but one: its client needs the other, and
        llama.cpp's threads, which spin, lose most of their speed where a core is shared.
        """
        threads = str(deployment.threads or max(1, processors.cores() - 1))
        fields = {
            "n_ctx": str(deployment.context * deployment.slots),
            "n_parallel": str(deployment.slots),
            "cpuparams.n_threads": threads,
            "cpuparams_batch.n_threads": threads,
            "cache_prompt": str(deployment.prefix_cache).lower(),
            "kv_unified": "false",
            "fit_params": "false",
            "endpoint_metrics": "true",
            "endpoint_slots": "true",
            "endpoint_props": "true",
            "ui": "false",
            "verbosity": "4",
        }
        if not deployment.prefix_cache:
            fields |= {"cache_ram_mib": "0", "cache_idle_slots": "false"}
        if deployment.kv_type != "auto":
            fields |= {"cache_type_k": deployment.kv_type, "cache_type_v": deployment.kv_type}
        return fields

    def _options(self, deployment: Deployment, model: str) -> dict[str, str]:
        options = {**deployment.options, **deployment.model_options.get(model, {})}
        return {FIELDS.get(name, name.replace("-", "_")): str(value) for name, value in options.items()}

    def ask(self, deployment: Deployment, model: Prepared, prompt: str, max_tokens: int, seed: int) -> Question:
        """Greedy, of exactly ``max_tokens`` tokens (the end-of-text token is never drawn), the prompt never cached."""
        body: dict[str, Any] = {
            "model": model.name,
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": seed,
            "ignore_eos": True,
            "cache_prompt": deployment.prefix_cache,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if model.spec.api == "chat":
            body["messages"] = [{"role": "user", "content": prompt}]
            return Question("/v1/chat/completions", body, "openai-chat")
        return Question("/v1/completions", {**body, "prompt": prompt}, "openai-completions")

    def versions(self, home: Path) -> dict[str, str]:
        """Of the wheel, or of the build from source.

        The wheel does not say which llama.cpp is inside; the last part of its version is taken for the build's number,
        which fits llama.cpp's numbers of those days.
        """
        program = home / "llama-server"
        if program.exists():
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
            build = re.search(r"build (\d+)", said.stderr + said.stdout)
            return {"llama.cpp": f"b{build[1]}" if build else "unknown"}
        (site,) = home.glob("lib/python*/site-packages")
        found = {d.name: d.version for d in importlib.metadata.distributions(path=[str(site)])}
        return {"xllamacpp": found["xllamacpp"], "llama.cpp": "b" + found["xllamacpp"].rsplit(".", 1)[-1]}

    def settings(self, deployment: Deployment, models: Mapping[str, Prepared], server: Server) -> list[Setting]:
        """From ``/props`` and from the server's log; of each loaded model where it is a router."""
        wanted = self._wanted(deployment, server)
        settings = []
        for model, url in _instances(server).items():
            asked = {**wanted, "model_name": model, "weights": deployment.weights or models[model].spec.weights}
            logged = _logged(server, url)
            told: dict[str, str | None] = control.read(server, "/props", _props, {}, at=url)
            settings += [Setting(name, asked[name], told.get(name), "/props", model) for name in SAID_IN_PROPS]
            for name, pattern in SAID_IN_LOG.items():
                match = re.search(pattern, logged, re.MULTILINE)
                settings.append(Setting(name, asked.get(name), match[1] if match else None, "log", model))
        return settings

    def _wanted(self, deployment: Deployment, server: Server) -> dict[str, str | None]:
        """What the study asks of every model's server; of an external one only what it says itself."""
        kv = None if deployment.kv_type == "auto" else deployment.kv_type
        wanted = {
            "slots": str(deployment.slots),
            "context_per_slot": str(deployment.context),
            "threads": said(deployment.threads),
            "kv_key_type": kv,
            "kv_value_type": kv,
        }
        if not server.spec.external:
            wanted |= {"threads": self.fields(deployment)["cpuparams.n_threads"], "kv_unified": "false"}
            wanted |= {"host_prompt_cache": "enabled" if deployment.prefix_cache else "disabled"}
        return wanted

    def read_counters(self, server: Server) -> dict[str, float]:
        """From ``/metrics`` and ``/slots``; of a router, the sum over its loaded models.

        ``kv_used`` is the share of all KV cells that requests in work fill; what lies in idle slots is free to take.
        """
        sums: dict[str, float] = {}
        used = cells = 0
        for url in _instances(server).values():
            read = control.counters(server, self.counters, at=url)
            sums |= {name: sums.get(name, 0) + value for name, value in read.items()}
            filled, held = control.read(server, "/slots", _cells, (0, 0), at=url)
            used, cells = used + filled, cells + held
        return {**sums, "kv_used": used / cells} if cells else sums

    def memory(self, server: Server) -> dict[str, float]:
        """Buffers that the server's log names, summed over devices, in bytes."""
        sums: dict[str, float] = {}
        for url in _instances(server).values():
            for part, pattern in BUFFERS.items():
                found = re.findall(pattern, _logged(server, url), re.MULTILINE)
                sums |= {part: sums.get(part, 0) + sum(map(float, found)) * 2**20} if found else {}
        return sums

    def load_model(self, server: Server, model: Prepared) -> None:
        """The router loads it, and unloads another where it holds no more."""
        self._switch(server, model, "load", "loaded")

    def unload_model(self, server: Server, model: Prepared) -> None:
        """The router ends the model's process."""
        self._switch(server, model, "unload", "unloaded")

    def _switch(self, server: Server, model: Prepared, verb: str, wanted: str) -> None:
        if server.spec.name != self.name:
            raise NotImplementedError("llama.cpp loads and unloads models only as a router")
        if _status(server)[model.name]["value"] == wanted:
            return
        requests.post(f"{server.url}/models/{verb}", json={"model": model.name}, timeout=60).raise_for_status()
        end = time.monotonic() + 120
        while _status(server)[model.name]["value"] != wanted:
            if time.monotonic() > end:
                raise StudyError(f"llamacpp: {model.name} is not {wanted} 120 s after it was asked")
            time.sleep(0.01)


def _from_source(version: str) -> bool:
    return version.isdigit()


def _status(server: Server) -> dict[str, Any]:
    """Model to what the router says of its process."""
    models = requests.get(f"{server.url}/models", timeout=10).json()["data"]
    return {m["id"]: m["status"] for m in models}


def _instances(server: Server) -> dict[str, str]:
    """Loaded model to the URL of the process that serves it.

    A router is asked for its processes: a question through it about a model that is not loaded would load it.
    """
    if server.spec.name in server.spec.models:
        return {server.spec.name: server.url}
    loaded = {model: status["args"] for model, status in _status(server).items() if status["value"] == "loaded"}
    return {model: f"http://127.0.0.1:{args[args.index('--port') + 1]}" for model, args in loaded.items()}


def _props(answer: requests.Response) -> dict[str, str | None]:
    """Those of ``SAID_IN_PROPS`` that it tells."""
    props = answer.json()
    return {
        "slots": said(props.get("total_slots")),
        "context_per_slot": said(props.get("default_generation_settings", {}).get("n_ctx")),
        "model_name": said(props.get("model_alias")),
        "weights": llama_server.weights(said(props.get("model_ftype"))),
    }


def _cells(answer: requests.Response) -> tuple[int, int]:
    """KV cells that requests in work fill, and all of them, of what ``/slots`` tells."""
    slots = answer.json()
    used = sum(int(slot["n_prompt_tokens"]) for slot in slots if slot["is_processing"])
    return used, sum(int(slot["n_ctx"]) for slot in slots)


def _logged(server: Server, url: str) -> str:
    """What the process at ``url`` has logged; a router passes on what its own say, each line with the port before it."""
    logged = server.log.read_text(encoding="utf-8", errors="replace") if server.log else ""
    if url == server.url:
        return logged
    return "\n".join(re.findall(rf"^\[{url.rpartition(':')[2]}\] (.*)$", logged, re.MULTILINE))


ENGINE = LlamaCpp()
