from __future__ import annotations

import pytest

from tests.engines.conftest import MODELS, SENTENCES

pytestmark = pytest.mark.engine
BUILD = "10760"


def test_the_router_serves_every_model_with_the_tokens_and_settings_asked(bring_up, deploy, reference):
    with bring_up(deploy("llamacpp", BUILD, router=True)) as up:
        (server,) = up.servers.values()
        for model in MODELS:
            for language, sentence in SENTENCES.items():
                answer = up.ask(model, sentence)
                assert (answer.prompt_tokens, answer.output_tokens) == (reference[model, language], 8)
                assert answer.cached_tokens == 0
        settings = up.engine.settings(up.deployment, up.models, server)
        assert {s.server for s in settings} == set(MODELS)
        assert [s for s in settings if s.asked is not None and s.asked != s.ran] == []
        assert {s.ran for s in settings if s.name == "slots"} == {"2"}
        counters = up.engine.read_counters(server)
        assert counters["generated_tokens"] == len(MODELS) * (len(SENTENCES) * 8 + 2)


def test_the_router_gives_the_memory_of_an_unloaded_model_back(bring_up, deploy):
    with bring_up(deploy("llamacpp", BUILD, router=True)) as up:
        (server,) = up.servers.values()
        both = up.engine.memory(server)
        up.engine.unload_model(server, up.models["gemma3-270m"])
        one = up.engine.memory(server)
        assert one["weights"] < both["weights"]
        up.engine.load_model(server, up.models["gemma3-270m"])
        assert up.engine.memory(server) == both


def test_the_router_evicts_a_model_when_it_may_hold_only_one(bring_up, deploy):
    with bring_up(deploy("llamacpp", BUILD, router=True, max_loaded=1)) as up:
        (server,) = up.servers.values()
        for model in MODELS:
            up.ask(model, SENTENCES["en"], 2)
            assert {s.server for s in up.engine.settings(up.deployment, up.models, server)} == {model}


def test_a_build_from_source_answers_as_the_wheel_does(bring_up, deploy, reference):
    with bring_up(deploy("llamacpp", BUILD)) as up:
        for model in MODELS:
            answer = up.ask(model, SENTENCES["ko"])
            assert (answer.prompt_tokens, answer.output_tokens) == (reference[model, "ko"], 8)
            settings = up.engine.settings(up.deployment, up.models, up.of(model))
            assert [s for s in settings if s.asked is not None and s.asked != s.ran] == []
