"""The page of definitions is the registry, and the registry is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_study.metrics.document import document
from serving_study.metrics.registry import POINT, REQUEST, find, sections
from serving_study.metrics.tables import IDENTITY, METRICS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
LATENCIES = ("ttft", "ttft_sent", "ttfe", "tpot", "e2e", "inter_chunk", "send_lag", "client_lag")


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text() == document(), "run: python -m serving_study metrics --document > docs/metrics.md"


def test_every_metric_has_a_definition_and_a_section():
    every = [*REQUEST.values(), *POINT.values()]
    assert [m.name for m in every if len(m.definition) < 20 or not m.needs] == []
    assert sorted(m.name for metrics in sections().values() for m in metrics) == sorted(m.name for m in every)


def test_every_request_metric_is_a_column():
    assert METRICS.names == [*(f.name for f in IDENTITY), *REQUEST]


def test_the_metrics_that_other_rooms_rely_on_are_there():
    named = {f"{name}_{of}" for name in LATENCIES for of in ("p50", "p90", "p95", "p99", "mean")}
    named |= {"output_throughput", "request_throughput", "character_throughput", "byte_throughput", "success_rate"}
    named |= {
        "output_tokens_mean",
        "prompt_tokens_mean",
        "cached_tokens_max",
        "early_stop_share",
        "tokens_per_character",
    }
    named |= {"in_flight_mean", "drift", "memory_peak", "memory_idle", "kv_used_peak", "client_cpu"}
    assert named <= set(POINT)


def test_an_objectives_metric_is_found_by_its_full_name():
    assert find("goodput_chat").name == "goodput_{slo}"
    assert find("ttft_p50").better == "lower"
    with pytest.raises(KeyError):
        find("goodput_")
