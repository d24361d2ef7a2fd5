"""SGLang: its server, one process tree a model."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from serving_study.engines.base import (
    OF_A_SERVER,
    WEIGHTS,
    Prepared,
    Question,
    Refusal,
    Server,
    ServerSpec,
    Setting,
    flags,
    said,
)
from serving_study.serving import control, machine
from serving_study.study.types import Deployment, Scalar
from serving_study.telemetry import processes

KV_TYPES = {"bf16": "bfloat16", "fp8": "fp8_e4m3"}
"""Our names of KV cache types to SGLang's; it has no others."""

SAID = {
    "version": "version",
    "model_name": "served_model_name",
    "context_per_slot": "context_length",
    "slots": "max_running_requests",
    "kv_tokens": "max_total_num_tokens",
    "kv_type": "kv_cache_dtype",
    "memory_share": "mem_fraction_static",
    "weights": "dtype",
    "quantization": "quantization",
    "device": "device",
    "attention": "attention_backend",
    "sampling": "sampling_backend",
    "chunked_prefill": "chunked_prefill_size",
    "load_format": "load_format",
    "trust_remote_code": "trust_remote_code",
    "sleep_on_idle": "sleep_on_idle",
}
"""Setting to its key in ``/get_server_info``."""


class Sglang:
    """SGLang's server. Its radix cache, which shares prefixes, is off unless the study wants it."""

    name = "sglang"
    title = "SGLang"
    formats: tuple[str, ...] = ("folder",)
    reserves = True
    image: str | None = "lmsysorg/sglang:v{version}"
    understands: tuple[str, ...] = OF_A_SERVER
    kv_types: tuple[str, ...] = tuple(KV_TYPES)
    counters: Mapping[str, str] = {
        "generated_tokens": "sglang:generation_tokens_total",
        "prompt_tokens": "sglang:prompt_tokens_total",
        "ttft_seconds_sum": "sglang:time_to_first_token_seconds_sum",
        "ttft_seconds_count": "sglang:time_to_first_token_seconds_count",
        "cached_tokens": "sglang:cached_tokens_total",
        "running": "sglang:num_running_reqs",
        "waiting": "sglang:num_queue_reqs",
        "kv_used": "sglang:token_usage",
        "kv_used_tokens": "sglang:kv_used_tokens",
        "kv_evictable_tokens": "sglang:kv_evictable_tokens",
    }

    def refuses(self, deployment: Deployment) -> tuple[Refusal, ...]:
        """Nothing: it refuses options that it does not know by itself."""
        return ()

    def lock(self, version: str) -> str | None:
        """One lock a version."""
        return f"workflow/envs/sglang-{version}.lock"

    def unavailable(self, deployment: Deployment) -> str | None:
        """A lock for this Python, AVX2 and room for PyTorch; docker and a GPU for its image."""
        if deployment.runs_as == "external":
            return None
        if deployment.runs_as == "container":
            no_gpu = None if machine.has_gpu() else "SGLang's image is built for NVIDIA GPUs and there is none here"
            return no_gpu or machine.lacks_for_container()
        return machine.lacks(self, deployment.version, 6)

    def install(self, version: str, home: Path) -> None:
        """Nothing beside the environment that its lock makes."""

    def lay_out(self, deployment: Deployment, models: Mapping[str, Prepared], scratch: Path) -> None:
        """Nothing: the models' folders are read where they lie."""

    def servers(
        self, deployment: Deployment, models: Mapping[str, Prepared], home: Path, scratch: Path
    ) -> list[ServerSpec]:
        """One server a model, on consecutive ports."""
        first = deployment.port or 8001
        return [
            ServerSpec(
                name=name,
                models=(name,),
                port=first + number,
                argv=self._argv(deployment, models[name], home, first + number),
                environment=self._environment(deployment, scratch),
                start_timeout_s=600,
                stop_timeout_s=30,
                image_words=1 if (on_cpu := self._on_cpu(deployment, name)) else 0,
                service=_built(deployment.version) if on_cpu else {},
                reads=tuple(folder for folder in (models[name].folder,) if folder),
                writes=(scratch,),
            )
            for number, name in enumerate(deployment.models)
        ]

    def _argv(self, deployment: Deployment, model: Prepared, home: Path, port: int) -> tuple[str, ...]:
        python = str(home / "bin" / "python") if deployment.runs_as == "process" else "python3"
        place: dict[str, Scalar] = {
            "model-path": str(model.folder),
            "served-model-name": model.name,
            "host": "127.0.0.1",
            "port": port,
        }
        return (python, "-m", "sglang.launch_server", *flags({**place, **self._asked(deployment, model.name)}))

    def _asked(self, deployment: Deployment, model: str) -> dict[str, Scalar]:
        """Options of the model's server, beside where it stands."""
        asked: dict[str, Scalar] = {
            "context-length": deployment.context,
            "max-running-requests": deployment.slots,
            "random-seed": 0,
            "enable-metrics": True,
            "enable-cache-report": True,
            "disable-radix-cache": not deployment.prefix_cache,
        }
        if model in deployment.memory_share:
            asked["mem-fraction-static"] = deployment.memory_share[model]
        else:  # else its KV pool takes most of the machine
            asked["max-total-tokens"] = deployment.context * deployment.slots
        if deployment.kv_type != "auto":
            asked["kv-cache-dtype"] = KV_TYPES.get(deployment.kv_type, deployment.kv_type)
        if deployment.runs_as == "process" and not machine.has_gpu():
            asked |= {"device": "cpu", "sleep-on-idle": True}
        return {**asked, **deployment.options, **deployment.model_options.get(model, {})}

    def _on_cpu(self, deployment: Deployment, model: str) -> bool:
        return deployment.runs_as == "process" and self._asked(deployment, model).get("device") == "cpu"

    def _environment(self, deployment: Deployment, scratch: Path) -> dict[str, str]:
        asked = {"HF_HUB_OFFLINE": "1", "HOME": str(scratch)}
        threads = deployment.threads
        if deployment.runs_as == "process" and not machine.has_gpu():
            threads = threads or max(1, len(os.sched_getaffinity(0)) - 1)
            asked["SGLANG_USE_CPU_ENGINE"] = "1"
        if threads:
            asked["OMP_NUM_THREADS"] = str(threads)
        return {**asked, **deployment.environment}

    def ask(self, deployment: Deployment, model: Prepared, prompt: str, max_tokens: int, seed: int) -> Question:
        """Greedy, of exactly ``max_tokens`` tokens: the end-of-text token is never drawn."""
        body: dict[str, Any] = {
            "model": model.name,
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": seed,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if model.spec.api == "chat":
            body["messages"] = [{"role": "user", "content": prompt}]
            return Question("/v1/chat/completions", body, "openai-chat")
        return Question("/v1/completions", {**body, "prompt": prompt}, "openai-completions")

    def versions(self, home: Path) -> dict[str, str]:
        """Of SGLang, PyTorch and Transformers."""
        sites = [str(site) for site in home.glob("lib/python*/site-packages")]
        found = {d.name: d.version for d in importlib.metadata.distributions(path=sites)}
        return {name: found[name] for name in ("sglang", "torch", "transformers") if name in found}

    def settings(self, deployment: Deployment, models: Mapping[str, Prepared], server: Server) -> list[Setting]:
        """From ``/get_server_info``: its arguments after all defaults and overrides."""
        info = _info(server)
        asked = {name: str(value) for name, value in self._asked(deployment, server.spec.models[0]).items()}
        wanted = {
            "version": deployment.version,
            "model_name": server.spec.models[0],
            "context_per_slot": asked["context-length"],
            "slots": asked["max-running-requests"],
            "kv_tokens": None if server.spec.external else asked.get("max-total-tokens"),
            "kv_type": asked.get("kv-cache-dtype"),
            "memory_share": asked.get("mem-fraction-static"),
            "weights": deployment.weights,
            "device": asked.get("device"),
            "trust_remote_code": asked.get("trust-remote-code", None if server.spec.external else "False"),
        }
        ran = {name: str(info[key]) for name, key in SAID.items() if key in info}
        ran |= {"weights": WEIGHTS.get(told, told)} if (told := ran.get("weights")) else {}
        cache, threads = info.get("disable_radix_cache"), "OMP_NUM_THREADS"
        own = server.spec.environment.get(threads, said(deployment.threads))
        return [
            *(Setting(name, wanted.get(name), ran.get(name), "/get_server_info", server.spec.name) for name in SAID),
            Setting(
                "prefix_cache",
                str(deployment.prefix_cache),
                None if cache is None else str(not cache),
                "/get_server_info",
                server.spec.name,
            ),
            Setting(
                "threads", own, processes.variable(server.pid, threads), "environment of the process", server.spec.name
            ),
        ]

    def read_counters(self, server: Server) -> dict[str, float]:
        """From ``/metrics``; ``kv_used`` is a share of the capacity and leaves out what may be evicted."""
        return control.counters(server, self.counters)

    def memory(self, server: Server) -> dict[str, float]:
        """Weights and KV pool in bytes as the server tells them (to 10 MB), and the pool's use."""
        states = _info(server).get("internal_states") or [{}]
        told = states[0].get("memory_usage", {})
        names = {"weights": "weight", "kv_capacity": "kvcache", "compute": "graph"}
        sizes = {part: float(told[key]) * 1e9 for part, key in names.items() if key in told}
        if "kv_capacity" in sizes:
            sizes["kv_used"] = sizes["kv_capacity"] * self.read_counters(server).get("kv_used", 0)
        return sizes

    def load_model(self, server: Server, model: Prepared) -> None:
        """Take the memory back that ``unload_model`` gave."""
        _saves(server)
        requests.post(f"{server.url}/resume_memory_occupation", json={}, timeout=120).raise_for_status()

    def unload_model(self, server: Server, model: Prepared) -> None:
        """Give weights and KV pool back; the server stays."""
        _saves(server)
        requests.post(f"{server.url}/release_memory_occupation", json={}, timeout=120).raise_for_status()


def _built(version: str) -> dict[str, Any]:
    """For processors SGLang documents a Dockerfile and no image: docker builds it at the tag of the version."""
    build = {
        "context": f"https://github.com/sgl-project/sglang.git#v{version}:docker",
        "dockerfile": "xeon.Dockerfile",
        "args": {"VER_SGLANG": f"v{version}"},
    }
    return {"image": f"sglang-cpu:v{version}", "build": build, "entrypoint": ["/opt/.venv/bin/python"]}


def _saves(server: Server) -> None:
    """A server without its memory saver answers the release with 200 all the same and gives nothing back."""
    if "--enable-memory-saver" not in server.spec.argv:
        raise NotImplementedError("SGLang gives memory back only with options: {enable-memory-saver: true}, on a GPU")


def _info(server: Server) -> dict[str, Any]:
    return control.told(server, "/get_server_info", timeout_s=30)


ENGINE = Sglang()
