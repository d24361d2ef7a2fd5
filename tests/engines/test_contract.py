from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from serving_study import engines
from serving_study.commands import plan
from serving_study.engines.base import Prepared
from serving_study.serving import cache, machine, ports
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.plans import DeploymentPlan
from serving_study.study.types import Deployment, Model, PathSource

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "config" / "studies").glob("*.yaml"))
QUICKSTART = ROOT / "config" / "studies" / "quickstart.yaml"
PLACES = [(path, name) for path in STUDIES for name in read(path, engines.checks()).deployments]


def compared(file: Path) -> set[str]:
    """Strings that a file compares with something other than the dialect of an answer."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Compare) and "dialect" not in ast.unparse(node.left):
            found |= strings(node.left, *node.comparators)
        if isinstance(node, ast.MatchValue):
            found |= strings(node.value)
    return found


def strings(*nodes: ast.expr) -> set[str]:
    constants = (c for node in nodes for c in ast.walk(node) if isinstance(c, ast.Constant))
    return {c.value for c in constants if isinstance(c.value, str)}


def test_no_file_but_an_engines_own_asks_which_engine_it_has_before_it():
    names = {*engines.names(), *(engines.load(name).title for name in engines.names())}
    for file in (ROOT / "serving_study").rglob("*.py"):
        if file.parent.name != "engines":
            assert not compared(file) & names, file
    for file in (ROOT / "workflow").rglob("*.smk"):
        assert not re.search(rf"""[=!]=\s*["']({"|".join(names)})""", file.read_text()), file


@pytest.mark.parametrize(("path", "name"), PLACES, ids=lambda x: x.stem if isinstance(x, Path) else x)
def test_every_deployment_of_a_study_here_can_be_had(path: Path, name: str):
    deployment = read(path, engines.checks()).deployments[name]
    engine = engines.load(deployment.engine)
    if deployment.runs_as == "container":
        assert engine.image
        return
    lock = engine.lock(deployment.version)
    locks = [ROOT / lock] if lock else list((ROOT / "workflow/envs").glob(f"*-{deployment.version}.*"))
    assert locks
    for file in locks:
        assert re.search(r"sha256", file.read_text())


def test_every_requirement_of_a_lock_carries_its_hashes():
    for lock in (ROOT / "workflow" / "envs").glob("*.lock"):
        for requirement in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE)):
            assert re.match(r"\S+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", requirement), requirement[:80]


def described(engine: str, version: str, **more: object) -> Deployment:
    return Deployment.model_validate({"engine": engine, "version": version, "models": ("m",), "port": 8001, **more})


VLLM = described("vllm", "0.32.0")
VERSIONS = {"llamacpp": "10760", "ollama": "0.34.0", "vllm": "0.32.0", "sglang": "0.5.15.post1"}
IGNORED = [
    ("llamacpp", {"memory_share": {"m": 0.5}}, "memory_share", "llama.cpp has no such setting"),
    ("llamacpp", {"max_loaded": 1}, "max_loaded", "Next: set router: true, or leave it out"),
    ("llamacpp", {"router": True, "version": "2026.10.11549"}, "router", "Next: name a build number"),
    ("llamacpp", {"router": True, "model_options": {"m": {"a": 1}}}, "model_options", "Next: use options"),
    ("llamacpp", {"kv_type": "fp8"}, "kv_type", "Next: name one of auto, f16, bf16, f32, q8_0"),
    ("ollama", {"memory_share": {"m": 0.5}}, "memory_share", "Ollama has no such setting"),
    ("ollama", {"router": True}, "router", "Ollama has no such setting"),
    ("ollama", {"model_options": {"m": {"a": 1}}}, "model_options", "Ollama has no such setting"),
    ("ollama", {"options": {"flash-atention": True}}, "options.flash-atention", "did you mean flash-attention?"),
    ("ollama", {"options": {"num_parallel": 8}}, "options.num_parallel", "Next: use slots"),
    ("vllm", {"max_loaded": 1}, "max_loaded", "vLLM has no such setting"),
    ("vllm", {"router": True}, "router", "vLLM has no such setting"),
    ("vllm", {"kv_type": "q8_0"}, "kv_type", "Next: name one of auto, f16, bf16, fp8"),
    ("sglang", {"max_loaded": 1}, "max_loaded", "SGLang has no such setting"),
    ("sglang", {"router": True}, "router", "SGLang has no such setting"),
    ("sglang", {"kv_type": "f16"}, "kv_type", "Next: name one of auto, bf16, fp8"),
    *(
        (engine, {"runs_as": "external", "options": {"debug": True}}, "options", "starts no external server")
        for engine in VERSIONS
    ),
]


def why_not(deployment: Deployment) -> str:
    return engines.load(deployment.engine).unavailable(deployment) or ""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine where nothing is installed yet."""
    monkeypatch.setenv("SERVING_STUDY_CACHE", str(tmp_path / "cache"))
    return monkeypatch


def test_a_machine_without_go_or_a_compiler_says_so(bare: pytest.MonkeyPatch, tmp_path: Path):
    bare.setenv("PATH", str(tmp_path))
    assert "no go on PATH" in why_not(described("ollama", "0.34.0"))
    assert "cmake, c++, ninja or make is not installed" in why_not(described("llamacpp", "10760", router=True))
    assert "no ollama on PATH" in why_not(described("ollama", "path"))
    assert "no docker on PATH" in why_not(described("ollama", "0.34.0", runs_as="container"))


def test_an_old_go_is_too_old(bare: pytest.MonkeyPatch, tmp_path: Path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    bare.setenv("PATH", f"{tmp_path}:/bin")
    assert "is built with Go 1.26 or later; here is go1.19.8" in why_not(described("ollama", "0.34.0"))


def test_a_processor_without_avx2_says_so(bare: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("flags : sse4_2 avx\n")
    bare.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert "AVX2" in why_not(VLLM)


def test_a_python_without_wheels_says_which_have_them(bare: pytest.MonkeyPatch):
    bare.setattr(machine.sys, "version_info", (3, 13, 0))
    assert "its lock holds for Python 3.11, 3.12; this is Python 3.13" in why_not(described("sglang", "0.5.15.post1"))


def test_a_full_disk_says_how_much_is_needed(bare: pytest.MonkeyPatch, tmp_path: Path):
    bare.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    assert f"it takes 6 GB and {cache.root()} has 1.0 GB free" in why_not(VLLM)


def test_a_machine_without_a_gpu_cannot_run_an_image_for_one(bare: pytest.MonkeyPatch, tmp_path: Path):
    bare.setattr(machine, "NVIDIA", tmp_path / "none")
    assert "NVIDIA" in why_not(described("vllm", "0.10.1.1", runs_as="container"))


def test_a_version_without_a_lock_names_those_that_have_one():
    with pytest.raises(Exception, match=r"locked are .*0\.32\.0"):
        why_not(described("vllm", "9.9.9"))


@pytest.mark.parametrize(("engine", "asked", "key", "why"), IGNORED)
def test_a_setting_that_would_be_ignored_is_refused(engine: str, asked: dict[str, object], key: str, why: str):
    deployment = described(**{"engine": engine, "version": VERSIONS[engine], **asked})
    ((refused, value, told),) = engines.checks()[engine](deployment)
    assert refused == key
    assert repr(value) in repr(asked)
    assert why in told


SOMETHING = {"memory_share": {"m": 0.5}, "max_loaded": 1, "router": True, "model_options": {"m": {"a": 1}}}
COLUMNS = (("llamacpp", {}), ("llamacpp", {"router": True}), ("ollama", {}), ("vllm", {}), ("sglang", {}))


def test_the_guide_says_which_engine_understands_which_key():
    page = (ROOT / "docs" / "write-a-study.md").read_text()
    rows = {key: cells.split("|") for key, cells in re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE)}
    for (engine, more), *cells in zip(COLUMNS, *(rows[key] for key in (*SOMETHING, "kv_type")), strict=True):
        for (key, value), cell in zip(SOMETHING.items(), cells[:-1], strict=True):
            asked = described(engine, VERSIONS[engine], **{**more, key: value})
            refused = {name for name, *_ in engines.checks()[engine](asked)}
            assert (key in refused) == (cell.strip() != "yes"), (engine, key)
        assert tuple(re.findall(r"`(\w+)`", cells[-1])) == engines.load(engine).kv_types


def test_a_study_that_asks_for_what_would_be_ignored_is_refused_when_it_is_planned(tmp_path: Path):
    study = yaml.safe_load(QUICKSTART.read_text())
    study["deployments"]["one-slot"]["memory_share"] = {"smollm2-135m": 0.5}
    file = tmp_path / "quickstart.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.raises(StudyError) as error:
        plan.run(Namespace(study=str(file), json=False))
    told = f"{file}: deployments.one-slot.memory_share = {{'smollm2-135m': 0.5}}: llama.cpp has no such setting"
    assert str(error.value).startswith(told)


@pytest.mark.parametrize("engine", VERSIONS)
def test_what_every_engine_understands_reaches_its_server(engine: str, tmp_path: Path):
    asked = described(engine, VERSIONS[engine], threads=3, environment={"MINE": "1"}, runs_as="container")
    known = {"source": {"path": "m"}, "license": "MIT", "parameters": 1, "weights": "F16", "api": "chat"}
    model = Prepared("m", Model.model_validate(known), gguf=tmp_path / "m.gguf", folder=tmp_path / "m")
    assert list(engines.checks()[engine](asked)) == []
    (server,) = engines.load(engine).servers(asked, {"m": model}, tmp_path, tmp_path)
    assert server.environment["MINE"] == "1"
    assert "3" in (*server.argv, *server.environment.values())


def test_an_option_of_llama_server_that_is_false_is_turned_off(tmp_path: Path):
    asked = described("llamacpp", "10760", options={"mmap": False})
    known = {"source": {"path": "m"}, "license": "MIT", "parameters": 1, "weights": "F16", "api": "chat"}
    model = Prepared("m", Model.model_validate(known), gguf=tmp_path / "m.gguf")
    (server,) = engines.load("llamacpp").servers(asked, {"m": model}, tmp_path, tmp_path)
    assert "--no-mmap" in server.argv


def test_a_fifth_engine_is_one_file(tmp_path: Path):
    """The engine of docs/add-an-engine.md in a copy of the package is planned, deployed and says what ran."""
    shutil.copytree(ROOT / "serving_study", tmp_path / "serving_study", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "workflow" / "envs").mkdir(parents=True)
    page = (ROOT / "docs" / "add-an-engine.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "serving_study" / "engines" / "echo.py").write_text(example)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    model = {
        "source": PathSource(path=str(tmp_path / "model.gguf")),
        "sha256": cache.sha256(tmp_path / "model.gguf"),
        "license": "MIT",
        "parameters": 1,
        "weights": "F16",
        "api": "completions",
    }
    deployment = {"engine": "echo", "version": "1", "models": ["m"], "port": ports.free()}
    plan = DeploymentPlan.model_validate(
        {"study": "s", "seed": 1, "name": "echo", "deployment": deployment, "models": {"m": model}}
    )
    out = tmp_path / "deploy.json"
    done = subprocess.run(
        [sys.executable, "-m", "serving_study", "deploy", plan.model_dump_json(), "--out", out],
        cwd=tmp_path,
        env={**os.environ, "SERVING_STUDY_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads(out.read_text())
    assert record["title"] == "Echo"
    assert [(s["asked"], s["ran"]) for s in record["settings"]] == [("m", "m")]
