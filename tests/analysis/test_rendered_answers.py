"""Every kind of answer reaches the page, in both languages: decisions, use cases, interference, claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving_study.__main__ import main
from tests.analysis.made_up import write_facts
from tests.analysis.synthetic import Truth

TRUTH = Truth(
    deployments=("vllm", "ollama", "sglang"),
    models=("tinyllama-1.1b", "qwen2.5-3b", "yi-6b"),
    workloads=("c1", "c8", "t8"),
    metrics=("output_throughput", "ttft_p50", "memory_peak"),
    replicates=3,
    effects={"vllm": 1.25},
)
CASES = {
    "high-throughput-api": {"slo": "interactive", "workload": "c8", "weights": {"output_throughput": 1}},
    "lowest-latency": {"workload": "c1", "weights": {"ttft_p50": 1}},
    "memory-constrained": {"weights": {"memory_peak": 1}},
    "production-multi-model": {"together": True, "weights": {"output_throughput": 1}},
    "edge": {"workload": "c1", "weights": {"e2e_p50": 1}},
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rich")
    facts = write_facts(root, TRUTH, claims="rtx5090-2025", usd_per_hour=1.5, use_cases=CASES)
    assert main(["render", "--facts", str(facts), "--out", str(root / "report")]) == 0
    return root / "report"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "report.en.md",
            ("427.77 token/s", "378.6% more", "8.5 GB", "4,379", "reserved and used memory cannot be compared"),
        ),
        ("report.ko.md", ("427.77 토큰/s", "378.6% 많음", "8.5 GB", "4,379")),
    ],
)
def test_the_page_says_what_the_tables_say(report: Path, file: str, said: tuple[str, ...]) -> None:
    text = (report / file).read_text(encoding="utf-8")
    for part in said:
        assert part in text
