"""Prompts fit into the smallest context, and nonces cost the same, as counted by the models' own tokenizers."""

import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

from serving_study import engines
from serving_study.serving.install import install
from serving_study.serving.models import prepare
from serving_study.study.file import read
from serving_study.study.prompts import load, nonce

ROOT = Path(__file__).parents[2]
STUDY = read(ROOT / "config" / "studies" / "quickstart.yaml", engines.checks(), ROOT)
MODELS = sorted(STUDY.models)
LONGEST = 900
OUTPUT = 128


class Tokenizer:
    """A model's tokenizer and template, as its llama.cpp server applies them."""

    def __init__(self, url, api):
        self.url, self.api = url, api

    def whole(self, prompt):
        """Tokens that the server sees when ``prompt`` is asked."""
        if self.api == "chat":
            messages = [{"role": "user", "content": prompt}]
            prompt = self.post("apply-template", {"messages": messages})["prompt"]
        return self.count(prompt, special=True)

    def count(self, text, special=False):
        return len(self.post("tokenize", {"content": text, "add_special": special})["tokens"])

    def post(self, path, body):
        answer = requests.post(f"{self.url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module", params=MODELS)
def tokenizer(request, tmp_path_factory):
    deployment = next(iter(STUDY.deployments.values()))
    engine = engines.load(deployment.engine)
    model = prepare(request.param, STUDY.models[request.param], engine.formats)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone = deployment.model_copy(update={"models": (request.param,), "port": port})
    folder = tmp_path_factory.mktemp("server")
    (spec,) = engine.servers(alone, {request.param: model}, install(engine, deployment.version), folder)
    with (folder / "log").open("wb") as log, subprocess.Popen(spec.argv, stdout=log, stderr=log) as server:
        try:
            yield _ready(Tokenizer(f"http://127.0.0.1:{port}", model.spec.api), server, folder / "log")
        finally:
            server.kill()


def _ready(tokenizer, server, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            tokenizer.count("ready")
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return tokenizer
    raise AssertionError(log.read_text(errors="replace")[-2000:])


@pytest.mark.parametrize("language", ["en", "zh", "ko", "warmup"])
def test_the_longest_prompt_and_its_answer_fit(tokenizer, language):
    prompts = load(ROOT / "config" / "prompts" / f"{language}.jsonl")
    longest = max(tokenizer.whole(prompt.asked(nonce(1, at))) for at, prompt in enumerate(prompts))
    assert longest + OUTPUT <= LONGEST


def test_every_nonce_costs_the_same(tokenizer):
    assert len({tokenizer.count(f"{nonce(1, request)}\n") for request in range(200)}) == 1
