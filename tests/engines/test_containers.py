from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from serving_study import engines
from serving_study.engines import ollama
from serving_study.serving import containers, llama_server, machine
from serving_study.study.file import read
from serving_study.study.types import Study
from serving_study.telemetry.processes import tree_memory
from tests.engines.conftest import SENTENCES

ROOT = Path(__file__).parents[2]
BUILD = "10760"
STUDY = read(ROOT / "config" / "studies" / "rtx5090.yaml", engines.checks())
ON_CPU = read(ROOT / "config" / "studies" / "cpu.yaml", engines.checks())


def composed(name: str, study: Study = STUDY) -> str:
    deployment = study.deployments[name]
    models = {model: study.models[model] for model in deployment.models}
    return containers.compose(engines.load(deployment.engine), deployment, models, gpu=study.hardware == "gpu")


@pytest.mark.parametrize(
    ("study", "name"),
    [(s, name) for s in (STUDY, ON_CPU) for name in s.deployments],
    ids=lambda x: getattr(x, "name", x),
)
def test_docker_compose_accepts_the_generated_file(study: Study, name: str, tmp_path: Path):
    file = tmp_path / "docker-compose.yml"
    file.write_text(composed(name, study))
    plugin = (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False) if which("docker") else None
    )
    if plugin is not None and plugin.returncode == 0:
        command = ["docker", "compose"]
    elif which("docker-compose"):
        command = ["docker-compose"]
    else:
        pytest.skip("neither docker compose nor docker-compose is here")
    done = subprocess.run([*command, "-f", file, "config"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def which(program: str) -> str | None:
    return shutil.which(program)


def test_the_compose_file_has_the_published_ports_shares_and_context_lengths_on_pinned_images_and_loopback():
    services = yaml.safe_load(composed("vllm"))["services"]
    told = {
        name: {word[2:]: after for word, after in zip(s["command"], s["command"][1:], strict=False) if word[:2] == "--"}
        for name, s in services.items()
    }
    assert [t["port"] for t in told.values()] == ["8001", "8002", "8003"]
    assert [t["gpu-memory-utilization"] for t in told.values()] == ["0.15", "0.25", "0.45"]
    assert [t["max-model-len"] for t in told.values()] == ["1024", "1536", "2048"]
    assert {t["host"] for t in told.values()} == {"127.0.0.1"}
    assert {s["image"] for s in services.values()} == {"vllm/vllm-openai:v0.10.1.1"}
    assert told["yi-6b"]["model"] == "01-ai/Yi-6B-Chat"
    assert told["yi-6b"]["revision"] == STUDY.models["yi-6b"].source.revision
    assert "--enforce-eager" in services["tinyllama-1.1b"]["command"]
    assert "HF_HUB_OFFLINE" not in services["yi-6b"]["environment"], "the server fetches its model"


def started(name: str, study: Study = STUDY) -> dict[str, str]:
    deployment = study.deployments[name]
    models = {model: study.models[model] for model in deployment.models}
    return containers.quick_start(engines.load(deployment.engine), deployment, models, gpu=study.hardware == "gpu")


@pytest.mark.parametrize("gpu", [False, True], ids=["here", "on a machine with a GPU"])
def test_what_ran_on_a_processor_gets_an_image_for_processors_and_keeps_its_settings(gpu: bool):
    deployment = ON_CPU.deployments["vllm"]
    text = containers.compose(engines.load("vllm"), deployment, ON_CPU.models, gpu)
    for service in yaml.safe_load(text)["services"].values():
        assert service["image"] == "vllm/vllm-openai-cpu:v0.32.0-x86_64"
        assert service["command"][0] == "--model", "the image's entry point is the server"
        assert service["environment"]["VLLM_CPU_KVCACHE_SPACE"] == "1"
        assert "deploy" not in service


def test_an_image_that_nobody_publishes_is_built_from_its_makers_dockerfile_at_the_version(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "none")
    for service in yaml.safe_load(composed("sglang", ON_CPU))["services"].values():
        assert service["build"]["context"] == "https://github.com/sgl-project/sglang.git#v0.5.15.post1:docker"
        assert service["build"]["args"] == {"VER_SGLANG": "v0.5.15.post1"}
        assert service["command"][:2] == ["-m", "sglang.launch_server"]
        assert service["command"][service["command"].index("--device") + 1] == "cpu"
    for service in yaml.safe_load(composed("sglang"))["services"].values():
        assert (service["image"], service["command"][0]) == ("lmsysorg/sglang:v0.5.2", "python3")
        assert "build" not in service


def test_a_container_of_ollama_has_its_store_in_the_mounted_folder():
    (service,) = yaml.safe_load(composed("ollama", ON_CPU))["services"].values()
    assert service["volumes"] == ["./models:/models"]
    assert service["environment"]["OLLAMA_MODELS"] == f"/models/{ollama.STORE}"


def test_models_of_ollamas_library_are_fetched_and_named_once_it_runs():
    lines = [shlex.split(line) for line in started("ollama")["pull"].splitlines()]
    asked = [(line[2].removeprefix("http://127.0.0.1:11434"), json.loads(line[-1])) for line in lines]
    assert asked[:2] == [
        ("/api/pull", {"model": "tinyllama:1.1b-chat"}),
        ("/api/copy", {"source": "tinyllama:1.1b-chat", "destination": "tinyllama-1.1b"}),
    ]
    assert len(asked) == 2 * len(STUDY.deployments["ollama"].models)
    assert "pull" not in started("ollama", ON_CPU), "its models are files"


def test_plain_commands_name_programs_and_models_where_they_are_laid_out():
    assert "engines/ollama-0.34.0/bin/ollama serve" in started("ollama", ON_CPU)["commands"]
    assert "OLLAMA_MODELS=models/ollama-models " in started("ollama", ON_CPU)["commands"]
    assert "--models-dir models/models " in started("router", ON_CPU)["commands"]
    assert "engines/vllm-0.32.0/bin/python -m vllm" in started("vllm", ON_CPU)["commands"]
    assert "env python -m vllm" in re.sub(r" [A-Z_]+=\S+", "", started("vllm")["commands"]), "its user installs it"
    for name in ON_CPU.deployments:
        assert " /" not in started(name, ON_CPU)["commands"], "a path of the machine that wrote it"


def test_each_model_has_its_curl_line_and_each_server_its_command_line():
    deployment = STUDY.deployments["vllm"]
    models = {model: STUDY.models[model] for model in deployment.models}
    engine = engines.load("vllm")
    lines = containers.curl(engine, deployment, models, "It's late.")
    assert [re.search(r":(\d+)/v1", lines[model])[1] for model in deployment.models] == ["8001", "8002", "8003"]
    assert "It'\"'\"'s late." in lines["yi-6b"]
    assert containers.command_lines(engine, deployment, models)["yi-6b"].startswith("env ")


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon of our own without a bridge; skipped with a reason where none can run."""
    if which("dockerd") is None or which("docker") is None:
        pytest.skip("no dockerd on PATH (Debian: docker.io)")
    if os.geteuid() != 0:
        pytest.skip("a dockerd of our own needs root")
    place = tmp_path_factory.mktemp("dockerd")
    url = f"unix://{place}/sock"
    folders = ["--data-root", place / "data", "--exec-root", place / "exec", "--pidfile", place / "pid"]
    plain = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", *plain, *folders, "-H", url], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while subprocess.run(["docker", "-H", url, "info"], capture_output=True, check=False).returncode:
            if daemon.poll() is not None or time.monotonic() > end:
                pytest.skip(f"dockerd does not run here: {(place / 'log').read_text()[-500:]}")
            time.sleep(0.5)
        yield url
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        subprocess.run(["umount", place / "exec" / "netns" / "default"], capture_output=True, check=False)
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def image(dockerd: str) -> str:
    """llama.cpp's image as its makers tag it, made of our own build and the libraries that it links to."""
    name = containers.image(engines.load("llamacpp"), BUILD)
    program = llama_server.built(BUILD)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [Path(found) for found in re.findall(r"(/\S+) \(0x", linked)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program.resolve(), "app/llama-server")
        for library in libraries:
            tar.add(library.resolve(), str(library).lstrip("/"))
    entry = ["--change", 'ENTRYPOINT ["/app/llama-server"]']
    subprocess.run(["docker", "-H", dockerd, "import", *entry, "-", name], input=packed.getvalue(), check=True)
    return name


@pytest.mark.engine
def test_a_deployment_runs_in_a_container(bring_up, deploy, reference, dockerd, image, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", dockerd)
    with bring_up(deploy("llamacpp", BUILD, runs_as="container", models=("smollm2-135m",))) as up:
        names = ["docker", "ps", "--format", "{{.Image}} {{.Names}}"]
        running = subprocess.run(names, capture_output=True, text=True, check=True).stdout
        assert running.strip() == f"{image} serving-study-{up.deployment.port}"
        answer = up.ask("smollm2-135m", SENTENCES["ko"])
        assert (answer.prompt_tokens, answer.output_tokens) == (reference["smollm2-135m", "ko"], 8)
        weights = (up.models["smollm2-135m"].gguf or Path()).stat().st_size
        assert tree_memory(containers.process_of(f"serving-study-{up.deployment.port}") or 0) > weights / 2
        assert containers.pulled(up.engine, BUILD).startswith(image)
        settings = up.engine.settings(up.deployment, up.models, up.of("smollm2-135m"))
        assert [s for s in settings if s.asked is not None and s.asked != s.ran] == []
    gone = subprocess.run(["docker", "ps", "--all", "--quiet"], capture_output=True, text=True, check=True).stdout
    assert gone == ""
