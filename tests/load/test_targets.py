"""The page of accuracy says for each target what was found and whether it was met."""

import pytest

from benchmarks.accuracy import targets
from benchmarks.peers.__main__ import table

TRUTH = {"ttft_p50": 50.0, "ttft_p99": 51.0, "inter_chunk_p99": 10.0}


def rounds(ttft_p50, tokens_per_cpu_s):
    return [
        {
            "truth": TRUTH,
            "recorder": TRUTH | {"ttft_p50": said, "tokens_per_cpu_s": tokens},
            "plain": {"tokens_per_cpu_s": 10.0},
        }
        for said, tokens in zip(ttft_p50, tokens_per_cpu_s, strict=True)
    ]


@pytest.mark.parametrize(
    ("streams", "said", "row"),
    [
        (256, [50.4, 49.6, 58.0], "| 256 | TTFT p50, error | 0.40 ms | 0.5 ms or less | met |"),
        (256, [50.6, 49.3, 50.0], "| 256 | TTFT p50, error | 0.60 ms | 0.5 ms or less | missed |"),
        (1024, [50.6, 49.3, 50.0], "| 1024 | TTFT p50, error | 0.60 ms | 1 ms or less | met |"),
        (64, [50.6, 49.3, 50.0], "| 64 | TTFT p50, error | 0.60 ms | | |"),
    ],
)
def test_an_error_is_judged_by_its_own_round_and_without_sign(streams, said, row):
    assert row in targets({streams: rounds(said, [60.0] * 3)})


def test_the_ratio_to_a_plain_client_is_judged():
    for tokens, row in (
        ([60.0, 49.0, 50.0], "| 64 | tokens per client CPU s, ratio | 5.00 | 5 or more | met |"),
        ([30.0, 20.0, 90.0], "| 64 | tokens per client CPU s, ratio | 3.00 | 5 or more | missed |"),
    ):
        assert targets({64: rounds([50.0] * 3, tokens)})[-1] == row


def test_a_tool_that_does_not_say_what_a_token_cost_it_is_told_apart():
    said = TRUTH | {"cpu_s": 2.0}
    found = {
        ("ours", 256): [{"said": said | {"tokens_per_cpu_s": 84_042.4}, "truth": TRUTH}],
        ("other", 256): [{"said": said, "truth": TRUTH}],
    }
    ours, other = table(found, {"ours": "1", "other": "2"}, 64, 1).splitlines()[-2:]
    assert ours.endswith("| 2.0 | 84,042 |") and other.endswith("| 2.0 | not reported |")
