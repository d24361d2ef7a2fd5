from __future__ import annotations

import json
from dataclasses import replace

import pytest
import requests

from serving_study.engines.base import Server
from serving_study.serving import ports
from serving_study.serving.life import life
from serving_study.serving.ready import wait_until_ready
from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment


def deployment(**more):
    base = {"engine": "llamacpp", "version": "2026.10.11549", "models": ("smollm2-135m",), "threads": 1}
    return Deployment.model_validate({**base, "port": ports.free(), "context": 256, **more})


@pytest.fixture
def serving(llamacpp, llamacpp_home, smollm2, tmp_path):
    """Bring a deployment of SmolLM2 up."""

    def up(asked: Deployment):
        specs = llamacpp.servers(asked, {smollm2.name: smollm2}, llamacpp_home, tmp_path)
        question = llamacpp.ask(asked, smollm2, "Hello", 2, 0)
        return life(specs, tmp_path, lambda server: wait_until_ready(server, question))

    return up


def answer(server: Server, question) -> list[dict]:
    """The events of a streamed answer."""
    text = requests.post(server.url + question.path, json=dict(question.body), timeout=120).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_llamacpp_answers_the_question_with_exactly_the_tokens_asked_and_nothing_cached(serving, llamacpp, smollm2):
    asked = deployment(slots=2)
    with serving(asked) as alive:
        question = llamacpp.ask(asked, smollm2, "Name three colours.", 12, 7)
        first, second = answer(alive.servers["smollm2-135m"], question), answer(alive.servers["smollm2-135m"], question)
        usage = second[-1]["usage"]
        assert usage["completion_tokens"] == 12
        assert usage["prompt_tokens_details"]["cached_tokens"] == 0
        texts = [
            "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
            for events in (first, second)
        ]
        assert texts[0] == texts[1] != ""
        counters = llamacpp.read_counters(alive.servers["smollm2-135m"])
        assert counters["generated_tokens"] == 26
        assert counters["cached_tokens"] == counters["running"] == counters["waiting"] == 0


def test_llamacpp_says_the_share_of_its_kv_cells_that_requests_fill(serving, llamacpp, smollm2):
    asked = deployment(slots=2, context=256)
    with serving(asked) as alive:
        server = alive.servers["smollm2-135m"]
        question = llamacpp.ask(asked, smollm2, "Tell me a story.", 200, 7)
        assert llamacpp.read_counters(server)["kv_used"] == 0
        seen = []
        with requests.post(server.url + question.path, json=dict(question.body), stream=True, timeout=60) as answer:
            for number, _ in enumerate(answer.iter_lines()):
                if number in (40, 300):
                    seen.append(llamacpp.read_counters(server)["kv_used"])
    assert 0 < seen[0] < seen[1] <= 0.5


def test_llamacpp_says_the_settings_that_ran_and_they_are_those_asked(serving, llamacpp, smollm2):
    asked = deployment(slots=2, kv_type="q8_0", options={"batch-size": 128})
    with serving(asked) as alive:
        server = alive.servers["smollm2-135m"]
        settings = {s.name: s for s in llamacpp.settings(asked, {smollm2.name: smollm2}, server)}
        declared = replace(smollm2, spec=smollm2.spec.model_copy(update={"weights": "Q8_0"}))
        contradicted = {s.name: s for s in llamacpp.settings(asked, {smollm2.name: declared}, server)}
    differing = [s for s in settings.values() if s.asked is not None and s.asked != s.ran]
    assert differing == []
    assert settings["slots"].ran == "2"
    assert settings["context_per_slot"].ran == "256"
    assert settings["kv_key_type"].ran == "q8_0"
    assert settings["batch"].ran == "128"
    assert (settings["weights"].asked, settings["weights"].ran) == ("Q4_1", "Q4_1")
    assert (contradicted["weights"].asked, contradicted["weights"].ran) == ("Q8_0", "Q4_1")
    assert settings["threads"].ran == "1"
    assert settings["host_prompt_cache"].ran == "disabled"
    assert [s.name for s in settings.values() if s.ran is None] == []


def test_llamacpp_says_the_memory_that_it_reserved(serving, llamacpp, smollm2):
    small, large = deployment(slots=1), deployment(slots=4)
    with serving(small) as alive:
        one = llamacpp.memory(alive.servers["smollm2-135m"])
    with serving(large) as alive:
        four = llamacpp.memory(alive.servers["smollm2-135m"])
    assert smollm2.gguf is not None
    assert one["weights"] == four["weights"] == pytest.approx(smollm2.gguf.stat().st_size, rel=0.05)
    assert four["kv_capacity"] == pytest.approx(4 * one["kv_capacity"], rel=0.01)
    assert one["compute"] > 0


def test_an_option_that_llamacpp_does_not_know_is_told_with_its_name(serving):
    with (
        pytest.raises(StudyError, match=r"llama\.cpp has no setting n_layers = 3"),
        serving(deployment(options={"n-layers": 3})),
    ):
        pytest.fail("it was started")


def test_an_option_of_a_wrong_type_is_told_with_its_value(serving):
    with (
        pytest.raises(StudyError, match=r"llama\.cpp does not take n_batch = many"),
        serving(deployment(options={"batch-size": "many"})),
    ):
        pytest.fail("it was started")


def test_a_damaged_model_file_is_told_as_such(llamacpp, llamacpp_home, smollm2, tmp_path):
    damaged = tmp_path / "damaged.gguf"
    with smollm2.gguf.open("rb") as whole:
        damaged.write_bytes(whole.read(20_000_000))
    asked = deployment()
    specs = llamacpp.servers(asked, {smollm2.name: replace(smollm2, gguf=damaged)}, llamacpp_home, tmp_path)
    question = llamacpp.ask(asked, smollm2, "Hello", 2, 0)
    with (
        pytest.raises(StudyError, match=r"before it was ready\. Next: the model file is damaged"),
        life(specs, tmp_path, lambda server: wait_until_ready(server, question)),
    ):
        pytest.fail("it was started")
