"""What a report's quick start prints serves: lay out, start, ask."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_study import engines
from serving_study.__main__ import main
from serving_study.serving import containers, ports
from serving_study.study.file import read

ROOT = Path(__file__).parents[2]
MODEL = "smollm2-135m"
WEIGHTS = bytes(range(256)) * 40
VERSIONS = {"llamacpp": "2026.10.11549", "ollama": "0.34.0", "vllm": "0.32.0", "sglang": "0.5.15.post1"}
BF16: dict[str, Any] = {"weights": "BF16", "options": {"dtype": "bfloat16"}}
CONVERTED = {"vllm": {**BF16, "options": {"dtype": "bfloat16", "enforce-eager": True}}, "sglang": BF16}
"""What engines ask that take the model as a folder."""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A study with one deployment ``d`` of one model, its source another one where that is given."""

    def written(engine: str, source: dict[str, Any] | None = None, **more: Any) -> Path:
        study = yaml.safe_load((ROOT / "config/studies/quickstart.yaml").read_text())
        if source:
            study["models"][MODEL] |= source
        one = {"engine": engine, "version": VERSIONS[engine], "models": [MODEL], "port": ports.free(), **more}
        file = tmp_path / "printed.yaml"
        file.write_text(yaml.safe_dump({**study, "name": "printed", "use_cases": {}, "deployments": {"d": one}}))
        return file

    return written


slow = pytest.mark.engine


@pytest.mark.parametrize("engine", [n if n == "llamacpp" else pytest.param(n, marks=slow) for n in VERSIONS])
def test_the_printed_lines_serve_the_model(engine: str, write: Write, tmp_path: Path):
    file = write(engine, **CONVERTED.get(engine, {}))
    assert main(["lay-out", str(file), "d", "--into", str(tmp_path)]) == 0
    (tmp_path / "serving_study").symlink_to(ROOT / "serving_study")
    study = read(file, engines.checks())
    models = {MODEL: study.models[MODEL]}
    said = containers.quick_start(engines.load(engine), study.deployments["d"], models, gpu=False)
    with (tmp_path / "log").open("wb") as log:
        command = ["bash", "-c", said["commands"]]
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 300
        while "data: [DONE]" not in (answer := asked(said["curl"])):
            assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
            assert time.monotonic() < end, answer
            time.sleep(0.5)
        assert '"content"' in answer
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def asked(line: str) -> str:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120).stdout


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A model file of the user's, which lies where it would be laid out."""
    monkeypatch.setenv("SERVING_STUDY_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "models" / f"{MODEL}.gguf"
    file.parent.mkdir()
    file.write_bytes(WEIGHTS)
    return {"source": {"path": str(file)}, "sha256": hashlib.sha256(WEIGHTS).hexdigest()}


@pytest.mark.parametrize("times", [1, 2])
def test_a_store_is_laid_out_in_files_that_a_container_sees(
    write: Write, own: dict[str, Any], tmp_path: Path, times: int
):
    file = write("ollama", own, runs_as="container")
    for _ in range(times):
        assert main(["lay-out", str(file), "d", "--into", str(tmp_path)]) == 0
    laid = [f for f in (tmp_path / "models").rglob("*") if not f.is_dir()]
    assert not any(f.is_symlink() for f in laid)
    (manifest,) = [f for f in laid if f.name == "latest"]
    assert manifest.parent.name == MODEL
    (blob,) = [f for f in laid if f.name == f"sha256-{own['sha256']}"]
    assert blob.read_bytes() == (tmp_path / "models" / f"{MODEL}.gguf").read_bytes() == WEIGHTS
    assert not (tmp_path / "engines").exists(), "its image brings the engine"


def test_models_on_another_disk_are_copied(write: Write, own: dict[str, Any], tmp_path: Path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert main(["lay-out", str(write("llamacpp", own, runs_as="container")), "d", "--into", str(tmp_path / "x")]) == 0
    assert (tmp_path / "x" / "models" / f"{MODEL}.gguf").read_bytes() == WEIGHTS


def test_a_deployment_that_is_not_there_is_told_with_those_that_are(write: Write, capsys: pytest.CaptureFixture[str]):
    assert main(["lay-out", str(write("llamacpp")), "e"]) == 2
    assert "deployments.e: must be one that the study starts: d" in capsys.readouterr().err
