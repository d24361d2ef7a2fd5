from __future__ import annotations

import hashlib

import pytest

from tests.engines.conftest import MODELS, SENTENCES, scratch_of

pytestmark = pytest.mark.engine
VERSION = "0.34.0"


def test_ollama_serves_unchanged_models_with_the_tokens_and_settings_asked(bring_up, deploy, reference):
    with bring_up(deploy("ollama", VERSION)) as up:
        (server,) = up.servers.values()
        for model in MODELS:
            for language, sentence in SENTENCES.items():
                answer = up.ask(model, sentence, 24)
                assert (answer.prompt_tokens, answer.output_tokens) == (reference[model, language], 24)
                assert answer.cached_tokens <= 24, "more than the chat template's fixed prefix"
        settings = up.engine.settings(up.deployment, up.models, server)
        assert [s for s in settings if s.asked is not None and s.asked != s.ran] == []
        ran = {(s.server, s.name): s.ran for s in settings}
        assert (ran["smollm2-135m", "weights"], ran["gemma3-270m", "weights"]) == ("Q4_1", "Q4_K_M")
        assert ran["smollm2-135m", "chat_template"] == "gguf_chat_template"
        assert ran["gemma3-270m", "ignore_eos"] == "true"
        counters = up.engine.read_counters(server)
        assert counters["generated_tokens"] == len(MODELS) * (len(SENTENCES) * 24 + 2)
        blobs = scratch_of(up) / "ollama-models" / "blobs"
        for model in MODELS:
            (blob,) = blobs.glob(f"sha256-{up.models[model].spec.sha256}")
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == up.models[model].spec.sha256


def test_ollama_loads_evicts_and_unloads(bring_up, deploy):
    with bring_up(deploy("ollama", VERSION, max_loaded=1)) as up:
        (server,) = up.servers.values()
        first, second = MODELS
        up.ask(first, SENTENCES["en"], 2)
        small = up.engine.memory(server)
        up.ask(second, SENTENCES["en"], 2)
        large = up.engine.memory(server)
        assert small["weights"] < large["weights"], "one model at a time: the second took the first's place"
        up.engine.unload_model(server, up.models[second])
        assert up.engine.memory(server).get("weights", 0) == 0
        up.engine.load_model(server, up.models[first])
        assert up.engine.memory(server)["weights"] == small["weights"]
