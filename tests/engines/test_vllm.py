from __future__ import annotations

import pytest

from tests.engines.conftest import MODELS, SENTENCES

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
OPTIONS = {"enforce-eager": True, "dtype": "bfloat16"}


def test_vllm_serves_both_models_side_by_side_with_the_tokens_and_settings_asked(bring_up, deploy, reference):
    asked = deploy("vllm", "0.32.0", options=OPTIONS, environment={"VLLM_CPU_KVCACHE_SPACE": "1"})
    with bring_up(asked) as up:
        assert sorted(s.spec.port for s in up.servers.values()) == [asked.port, asked.port + 1]
        for model in MODELS:
            server = up.of(model)
            for language, sentence in SENTENCES.items():
                answer = up.ask(model, sentence)
                assert (answer.prompt_tokens, answer.output_tokens) == (reference[model, language], 8)
                assert answer.cached_tokens == 0
            settings = {s.name: s for s in up.engine.settings(asked, up.models, server)}
            assert [s for s in settings.values() if s.asked is not None and s.asked != s.ran] == []
            assert settings["prefix_cache"].ran == "False"
            assert settings["slots"].ran == "2"
            counters = up.engine.read_counters(server)
            assert counters["generated_tokens"] == len(SENTENCES) * 8 + 2
            assert counters["running"] == counters["prefix_hits"] == 0
            assert up.engine.memory(server)["kv_capacity"] == 2**30
            with pytest.raises(NotImplementedError, match="enable-sleep-mode"):
                up.engine.unload_model(server, up.models[model])
