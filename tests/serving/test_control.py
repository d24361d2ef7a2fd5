"""Control requests: the key goes with those to external servers, and what one of these does not tell is left out."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from structlog.testing import capture_logs

from serving_study import engines
from serving_study.__main__ import main
from serving_study.commands import deploy
from serving_study.engines.base import Engine, Prepared, Server, ServerSpec, Setting
from serving_study.load.payload import KEY_VARIABLE
from serving_study.serving import control, llama_server
from serving_study.study.plans import CellPlan, DeploymentPlan, WarmupPlan
from serving_study.study.types import Deployment, Model
from tests.truth.harness import truth

VERSIONS = {"llamacpp": "10760", "ollama": "0.34.0", "vllm": "0.32.0", "sglang": "0.5.15.post1"}
WEB_PAGE = "<!DOCTYPE html>\n<html><head><style>body { margin: 0 }</style></head><body>Sign in</body></html>"
ELSEWISE = {
    "no such page": (404, "not here"),
    "a web page": (200, WEB_PAGE),
    "JSON of another shape": (200, "[1]"),
    "an error": (200, '{"error": "unauthorized"}'),
}
COMPLETION = 'data: {"choices": [{"index": 0, "text": " there", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
Page = tuple[int, str]

every_engine = pytest.mark.parametrize("engine", [engines.load(name) for name in VERSIONS], ids=lambda e: e.name)


@dataclass
class Gateway:
    """What a gateway answers below its URL, and what it was asked: path and key."""

    url: str
    pages: dict[str, Page]
    elsewise: Page
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway that answers completions and ``pages``, and one page elsewise; the key is in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, "sk-1234")
    started = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told: Gateway = self.server.told  # type: ignore[attr-defined]
            told.asked.append((self.path, self.headers["Authorization"]))
            status, text = told.pages.get(self.path, told.elsewise)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    def start(pages: dict[str, Page] | None = None, elsewise: Page = ELSEWISE["no such page"]) -> Gateway:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        completions = {"/v1/completions": (200, COMPLETION)}
        told = Gateway(f"http://127.0.0.1:{server.server_port}", {**completions, **(pages or {})}, elsewise)
        server.told = told  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return told

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def model(**more: Any) -> Model:
    known = {"source": {"path": "m.gguf"}, "license": "MIT", "parameters": 1, "weights": "Q4_1", "api": "completions"}
    return Model.model_validate({**known, **more})


def outside(engine: Engine, url: str, name: str = "m", **more: Any) -> tuple[Deployment, dict[str, Prepared], Server]:
    """An external deployment of one model."""
    known = {"engine": engine.name, "version": VERSIONS[engine.name], "models": [name], "slots": 4, "threads": 2}
    deployment = Deployment.model_validate({**known, "runs_as": "external", "urls": {name: url}, **more})
    spec = ServerSpec(name, (name,), 80, (), url=url)
    return deployment, {name: Prepared(name, model())}, Server(spec, url, None, None)


def plan(engine: Engine, url: str, name: str = "m", **more: Any) -> dict[str, Any]:
    deployment, models, _ = outside(engine, url, name)
    told = {"study": "s", "seed": 1, "name": "theirs", "deployment": deployment, **more}
    return {**told, "models": {name: each.spec for name, each in models.items()}}


def by_name(settings: list[Setting]) -> dict[str, tuple[str | None, str | None]]:
    return {s.name: (s.asked, s.ran) for s in settings}


def nothing_told(engine: Engine, url: str) -> None:
    deployment, models, server = outside(engine, url)
    settings = by_name(engine.settings(deployment, models, server))
    assert {ran for _, ran in settings.values()} == {None}
    assert {name: settings[name][0] for name in ("slots", "threads")} == {"slots": "4", "threads": "2"}
    assert engine.read_counters(server) == {}
    assert engine.memory(server) == {}


@every_engine
@pytest.mark.parametrize("elsewise", ELSEWISE)
def test_what_an_external_server_does_not_tell_is_left_out(engine: Engine, elsewise: str, gateway):
    nothing_told(engine, gateway(elsewise=ELSEWISE[elsewise]).url)


@every_engine
def test_a_port_that_refuses_control_requests_tells_nothing(engine: Engine):
    nothing_told(engine, "http://127.0.0.1:1")


@every_engine
def test_the_key_goes_with_every_control_request_to_an_external_server(engine: Engine, gateway):
    asked = gateway()
    nothing_told(engine, asked.url)
    assert asked.asked
    assert {key for _, key in asked.asked} == {"Bearer sk-1234"}


def test_no_key_reaches_a_server_of_our_own_and_what_it_does_not_tell_is_an_error(gateway):
    asked = gateway()
    own = Server(ServerSpec("m", ("m",), 80, ()), asked.url, None, None)
    with pytest.raises(requests.HTTPError):
        control.told(own, "/props")
    assert asked.asked == [("/props", None)]


def test_no_key_means_no_header(gateway, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert control.headers(outside(engines.load("vllm"), gateway().url)[2]) == {}


PROPS = {
    "total_slots": 2,
    "default_generation_settings": {"n_ctx": 1024},
    "model_alias": "m",
    "model_ftype": "Q4_K - Medium",
}
SLOTS = [{"is_processing": True, "n_prompt_tokens": 256, "n_ctx": 1024}, {"is_processing": False, "n_ctx": 1024}]
LLAMACPP = {
    "/props": (200, json.dumps(PROPS)),
    "/slots": (200, json.dumps(SLOTS)),
    "/metrics": (200, "llamacpp:tokens_predicted_total 7\n"),
}
CACHE = 'vllm:cache_config_info{enable_prefix_caching="True"} 1.0\nvllm:generation_tokens_total 7.0\n'
CARDS = {"data": [{"id": "other", "max_model_len": 1}, {"id": "m", "max_model_len": 1024}]}
VLLM = {
    "/version": (200, '{"version": "0.32.0"}'),
    "/v1/models": (200, json.dumps(CARDS)),
    "/metrics": (200, CACHE),
}


def test_an_external_llamacpp_is_asked_what_it_runs_and_its_weights_are_held_against_the_declared(gateway):
    engine = engines.load("llamacpp")
    deployment, models, server = outside(engine, gateway(LLAMACPP).url)
    settings = by_name(engine.settings(deployment, models, server))
    assert settings["weights"] == ("Q4_1", "Q4_K_M")
    assert settings["slots"] == ("4", "2")
    assert settings["context_per_slot"] == ("1024", "1024")
    assert engine.read_counters(server) == {"generated_tokens": 7, "kv_used": 0.125}


def test_an_external_vllm_is_asked_what_it_runs_of_the_model_that_is_measured(gateway):
    engine = engines.load("vllm")
    deployment, models, server = outside(engine, gateway(VLLM).url)
    settings = by_name(engine.settings(deployment, models, server))
    assert settings["version"] == ("0.32.0", "0.32.0")
    assert settings["model_name"] == ("m", "m")
    assert settings["context_per_slot"] == ("1024", "1024")
    assert settings["prefix_cache"] == ("False", "True")
    assert settings["trust_remote_code"] == (None, None), "nobody asked it of a server that others start"
    assert engine.read_counters(server) == {"generated_tokens": 7}


def test_an_ollama_without_a_log_tells_the_type_of_the_weights_by_its_api(gateway):
    engine = engines.load("ollama")
    shown = {"/api/show": (200, '{"details": {"quantization_level": "Q4_0"}}')}
    deployment, models, server = outside(engine, gateway(shown).url)
    (weights,) = [s for s in engine.settings(deployment, models, server) if s.name == "weights"]
    assert (weights.asked, weights.ran, weights.source) == ("Q4_1", "Q4_0", "/api/show")
    deployment = deployment.model_copy(update={"weights": "Q4_0"})
    assert by_name(engine.settings(deployment, models, server))["weights"] == ("Q4_0", "Q4_0")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("Q4_1", "Q4_1"),
        ("Q4_K - Medium", "Q4_K_M"),
        ("Q3_K - Large", "Q3_K_L"),
        ("Q2_K - Medium", "Q2_K"),
        ("all F32", "F32"),
        ("IQ4_XS - 4.25 bpw", "IQ4_XS"),
        ("IQ3_S mix - 3.66 bpw", "IQ3_M"),
        ("(guessed) Q5_K - Small", "Q5_K_S"),
        (None, None),
    ],
)
def test_the_type_of_weights_that_llamacpp_tells_has_the_name_that_files_carry(told: str | None, name: str | None):
    assert llama_server.weights(told) == name


def test_deploy_warns_of_each_setting_that_did_not_take_effect_or_is_not_told(gateway, tmp_path: Path):
    asked = plan(engines.load("llamacpp"), gateway(LLAMACPP).url)
    out = tmp_path / "deploy.json"
    with capture_logs() as logged:
        deploy.run(argparse.Namespace(plan=DeploymentPlan.model_validate(asked), code="", out=out))
    warned = [line for line in logged if line["log_level"] == "warning"]
    assert [(line["event"], line["name"], line["asked"], line["ran"]) for line in warned] == [
        ("a setting was asked for that did not take effect", "slots", "4", "2"),
        ("a setting was asked for that did not take effect", "weights", "Q4_1", "Q4_K_M"),
        ("a setting was asked for that the server does not tell", "threads", "2", None),
    ]
    assert json.loads(out.read_text())["deployment"] == "theirs"


@every_engine
def test_a_server_that_answers_nothing_but_completions_is_deployed_warmed_up_and_measured(
    engine: Engine, tmp_path: Path
):
    work = {"c1": {"concurrency": 1, "requests": 3, "max_tokens": 4}}
    cell = tmp_path / "cells" / "theirs" / "en" / "r01" / "cell.json"
    with truth("--first-ms", "2", "--gap-ms", "1") as server:
        deployed = DeploymentPlan.model_validate(plan(engine, server.url, "steady"))
        warmed = WarmupPlan.model_validate(plan(engine, server.url, "steady", warmup_requests=4))
        measured = CellPlan.model_validate(
            plan(engine, server.url, "steady", language="en", replicate=1, workloads=work)
        )
        prompts, warmup = "config/prompts/warmup.jsonl", str(tmp_path / "warmup.json")
        assert main(["deploy", deployed.model_dump_json(), "--out", str(tmp_path / "deploy.json")]) == 0
        assert main(["warmup", warmed.model_dump_json(), "--prompts", prompts, "--out", warmup]) == 0
        files = ["--warmup", warmup, "--warmup-prompts", prompts, "--prompts", "config/prompts/en.jsonl"]
        assert main(["benchmark", measured.model_dump_json(), *files, "--cell", str(cell)]) == 0
    assert json.loads((tmp_path / "deploy.json").read_text())["engine_memory_bytes"] == {"steady": {}}
    (window,) = json.loads(cell.read_text())["windows"]
    assert (window["counters_before"], window["counters_after"]) == ({"steady": {}}, {"steady": {}})
