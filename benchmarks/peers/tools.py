"""Each tool: how it is installed, how it is started, and what its own report says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_study.engines.vllm import ENGINE as VLLM
from serving_study.serving.cache import root
from serving_study.serving.install import install

HERE = Path(__file__).parent
VLLM_VERSION = "0.32.0"
Said = dict[str, float | None]


@dataclass(frozen=True)
class Load:
    """What every tool is told to do."""

    url: str
    streams: int
    requests: int
    max_tokens: int
    tokenizer: Path
    out: Path


@dataclass(frozen=True)
class Tool:
    """One load generator."""

    title: str
    home: Callable[[], Path]
    """Installs it where it is not, and gives its environment."""
    version: Callable[[Path], str]
    command: Callable[[Path, Load], list[str]]
    said: Callable[[Load], Said]
    """TTFT p50 and p99 and inter-chunk p99 in ms, by its own report."""
    environment: Mapping[str, str]


def _own_environment(name: str) -> Path:
    """From the tool's lock, hashes checked, in the cache; kept for the next time."""
    home = root() / "peers" / name
    if not (home / "installed").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(home)], check=True)
        lock = ["--require-hashes", "-r", str(HERE / f"{name}.lock")]
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), *lock], check=True)
        (home / "installed").touch()
    return home


def _version(package: str) -> Callable[[Path], str]:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"

    def version(home: Path) -> str:
        return subprocess.run(
            [str(home / "bin" / "python"), "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    return version


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _ours(home: Path, load: Load) -> list[str]:
    return [
        str(home / "bin" / "python"), "-m", "serving_study", "load", "--url", load.url, "--model", "steady",
        "--concurrency", str(load.streams), "--requests", str(load.requests), "--max-tokens", str(load.max_tokens),
        "--input-tokens", "16", "--connection", "pooled", "--out", str(load.out),
    ]  # fmt: skip


def _ours_said(load: Load) -> Said:
    command = [sys.executable, "-m", "serving_study", "metrics", str(load.out), "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {
        "ttft_p50": found["ttft_ms"]["p50"],
        "ttft_p99": found["ttft_ms"]["p99"],
        "inter_chunk_p99": found["inter_chunk_ms"]["p99"],
        "tokens_per_cpu_s": found["tokens_per_client_cpu_s"],
    }


def _plain(home: Path, load: Load) -> list[str]:
    load.out.mkdir(parents=True, exist_ok=True)
    numbers = [str(load.streams), str(load.requests), str(load.max_tokens)]
    return [
        str(home / "bin" / "python"),
        str(HERE / "plain_aiohttp.py"),
        load.url,
        *numbers,
        str(load.out / "said.json"),
    ]


def _vllm(home: Path, load: Load) -> list[str]:
    return [
        str(home / "bin" / "vllm"), "bench", "serve", "--backend", "openai-chat", "--base-url", load.url,
        "--endpoint", "/v1/chat/completions", "--model", "steady", "--tokenizer", str(load.tokenizer),
        "--dataset-name", "random", "--random-input-len", "16", "--random-output-len", str(load.max_tokens),
        "--num-prompts", str(load.requests), "--max-concurrency", str(load.streams), "--save-result",
        "--result-dir", str(load.out), "--result-filename", "said.json", "--percentile-metrics", "ttft,itl",
        "--metric-percentiles", "50,99", "--disable-tqdm",
    ]  # fmt: skip


def _vllm_said(load: Load) -> Said:
    found = _json(load.out / "said.json")
    return {"ttft_p50": found["p50_ttft_ms"], "ttft_p99": found["p99_ttft_ms"], "inter_chunk_p99": found["p99_itl_ms"]}


def _guidellm(home: Path, load: Load) -> list[str]:
    return [
        str(home / "bin" / "guidellm"), "run", "--backend", f"kind=openai_http,target={load.url},model=steady",
        "--profile", f"kind=concurrent,streams={load.streams}",
        "--constraint", f"kind=max_requests,count={load.requests}",
        "--tokenizer", f"kind=huggingface_auto,model={load.tokenizer}",
        "--data", f"kind=synthetic_text,prompt_tokens=16,output_tokens={load.max_tokens}",
        "--output", f"kind=json,path={load.out / 'said.json'}", "--disable-console",
    ]  # fmt: skip


def _guidellm_said(load: Load) -> Said:
    found = _json(load.out / "said.json")["benchmarks"][0]["metrics"]
    first = found["time_to_first_token_ms"]["successful"]["percentiles"]
    return {"ttft_p50": first["p50"], "ttft_p99": first["p99"], "inter_chunk_p99": None}


def _aiperf(home: Path, load: Load) -> list[str]:
    return [
        str(home / "bin" / "aiperf"), "profile", "-m", "steady", "--url", load.url, "--endpoint-type", "chat",
        "--streaming", "--concurrency", str(load.streams), "--request-count", str(load.requests),
        "--output-tokens-mean", str(load.max_tokens), "--synthetic-input-tokens-mean", "16",
        "--tokenizer", str(load.tokenizer), "--artifact-dir", str(load.out), "--ui", "none",
    ]  # fmt: skip


def _aiperf_said(load: Load) -> Said:
    found = _json(load.out / "profile_export_aiperf.json")
    first = found["time_to_first_token"]
    return {"ttft_p50": first["p50"], "ttft_p99": first["p99"], "inter_chunk_p99": None}


OFFLINE = {"HF_HUB_OFFLINE": "1"}
TOOLS = (
    Tool("llm-serving-study", lambda: Path(sys.prefix), lambda _: "this commit", _ours, _ours_said, {}),
    Tool(
        "plain aiohttp",
        lambda: Path(sys.prefix),
        _version("aiohttp"),
        _plain,
        lambda load: _json(load.out / "said.json"),
        {},
    ),
    Tool("vllm bench serve", lambda: install(VLLM, VLLM_VERSION), lambda _: VLLM_VERSION, _vllm, _vllm_said, OFFLINE),
    Tool("guidellm", lambda: _own_environment("guidellm"), _version("guidellm"), _guidellm, _guidellm_said, OFFLINE),
    Tool("aiperf", lambda: _own_environment("aiperf"), _version("aiperf"), _aiperf, _aiperf_said, {}),
)
