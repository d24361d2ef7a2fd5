"""Each pitfall that other tools fell into, as raw files of known truth."""

from __future__ import annotations

from itertools import pairwise

import pytest
from raw_cell import DONE, END, MS, Asked, RawCell, delta, head, http_chunk, sse, stop, stream, usage

from serving_study.metrics.codes import CODES
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.registry import POINT, REQUEST


@pytest.fixture
def cell(tmp_path):
    """Derive a cell of these requests: its rows, its points by metric, and the codes of its first point."""

    def derived(asked: list[Asked], **more):
        found = derive(RawCell(tmp_path, asked, **more).write(), Judging())
        points = {r["metric"]: r for r in found.points.to_pylist() if r["model"] != "*"}
        return found.metrics.to_pylist(), points, points["success_rate"]["reasons"]

    return derived


def every(n: int, answer, **more) -> list[Asked]:
    return [Asked(answer, intended=i * 300 * MS, prompt=f"p-{i:03}", **more) for i in range(n)]


def test_p1_a_gap_between_chunks_is_not_called_a_latency_of_tokens(cell):
    answer = stream(["one two three four "] * 5, first=50 * MS, gap=40 * MS, tokens=20)
    _, points, _ = cell(every(12, answer))
    assert points["inter_chunk_p50"]["value"] == 40 * MS
    assert points["tpot_p50"]["value"] == pytest.approx(4 * 40 * MS / 19, abs=1)
    assert not any("itl" in name for name in (*REQUEST, *POINT))
    assert "not the inter-token latency" in POINT["inter_chunk_p50"].definition


def test_p2_a_role_only_or_empty_delta_is_no_first_token(cell):
    role = sse({"choices": [{"delta": {"role": "assistant", "content": None}}]})
    events = [
        (5, head() + http_chunk(role)),
        (10, http_chunk(delta(""))),
        (30, http_chunk(delta("x"))),
        (40, http_chunk(delta("y"))),
    ]
    answer = [(ms * MS, data) for ms, data in events] + [(41 * MS, http_chunk(stop() + usage(2) + DONE) + END)]
    [row, *_], _, _ = cell(every(1, answer))
    assert (row["ttfe"], row["ttft"], row["e2e"]) == (5 * MS, 30 * MS, 40 * MS)


def test_p3_reasoning_is_the_first_token_and_is_counted(cell):
    thinking = sse({"choices": [{"delta": {"reasoning_content": "hmm "}}]})
    answer = [
        (20 * MS, head() + http_chunk(thinking)),
        (60 * MS, http_chunk(delta("yes") + stop() + usage(5) + DONE) + END),
    ]
    [row, *_], _, _ = cell(every(1, answer))
    assert (row["ttft"], row["tpot"], row["output_tokens"], row["output_chars"]) == (20 * MS, 10 * MS, 5, 7)


def test_p4_a_client_that_lags_is_told_and_does_not_lengthen_the_latency(cell):
    rows, points, reasons = cell(every(12, stream(["a"] * 8), kernel_lag=20 * MS))
    assert {row["ttft"] for row in rows} == {50 * MS}
    assert points["client_lag_p50"]["value"] == 20 * MS
    assert "CLIENT_LAG" in points["ttft_p50"]["codes"]
    assert points["ttft_p50"]["fatal"]
    assert "20.000 ms" in reasons
    assert "the limit is 5 ms" in reasons


def test_p5_a_line_of_megabytes_is_read_whole(cell):
    text = "가" * 1_500_000
    data = head() + http_chunk(delta(text) + stop() + usage(9) + DONE) + END
    parts = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    answer = [(i * MS, part) for i, part in enumerate(parts, 1)]
    [row, *_], _, _ = cell(every(1, answer))
    assert (row["error"], row["output_chars"], row["output_bytes"]) == (None, 1_500_000, 4_500_000)
    assert row["ttft"] == len(parts) * MS


def test_p6_each_token_has_the_time_of_its_own_bytes(cell):
    framed = head() + http_chunk(delta("a") + delta("b") + delta("c") + stop() + usage(3) + DONE) + END
    cuts = [framed.index(delta(t)) + len(delta(t)) for t in "abc"]
    bounds = [0, *cuts, len(framed)]
    answer = [((i + 1) * 7 * MS, framed[a:b]) for i, (a, b) in enumerate(pairwise(bounds))]
    [row, *_], points, _ = cell(every(12, answer))
    assert (row["ttft"], row["e2e"], row["chunks"]) == (7 * MS, 21 * MS, 3)
    assert points["inter_chunk_p50"]["value"] == 7 * MS


def test_p7_waiting_for_a_late_client_is_part_of_the_latency(cell):
    answer = [(at + 3000 * MS, data) for at, data in stream(["a"] * 3)]
    [row, *_], points, _ = cell(every(12, answer, sent_lag=3000 * MS), rate=3.3)
    assert row["ttft"] == 3050 * MS
    assert row["ttft_sent"] == 50 * MS
    assert "LOAD_NOT_DELIVERED" in points["ttft_p50"]["codes"]


def test_p8_a_prefix_cache_that_helped_makes_the_point_invalid(cell):
    _, points, reasons = cell(every(12, stream(["a"] * 8, cached=300)))
    assert points["cached_tokens_max"]["value"] == 300
    assert points["ttft_p50"]["fatal"]
    assert "CACHE_HIT" in reasons
    assert "300 prompt tokens" in reasons


def test_p8_a_cache_measured_on_purpose_and_the_template_are_no_hits(cell):
    plan = {"workloads": {"c1": {"concurrency": 1, "requests": 12, "max_tokens": 8, "measure_cache": True}}}
    _, points, _ = cell(every(12, stream(["a"] * 8, cached=300)), plan=plan)
    assert "CACHE_HIT" not in points["ttft_p50"]["codes"]
    for plan in ({"models": {"m": {"template_tokens": 30}}}, {}):
        _, points, _ = cell(every(12, stream(["a"] * 8, cached=30)), plan=plan)
        assert "CACHE_HIT" not in points["ttft_p50"]["codes"]
    _, points, _ = cell(every(12, stream(["a"] * 8, cached=30)), plan={"models": {"m": {"template_tokens": 0}}})
    assert "CACHE_HIT" in points["ttft_p50"]["codes"]


def test_p9_the_length_of_prompts_is_the_servers_count_and_its_slope_per_character_is_told(cell):
    asked = []
    for i in range(15):
        tail = stop() + usage(1, prompt=40 + 3 * i) + DONE
        answer = [(50 * MS, head() + http_chunk(delta("a") + tail) + END)]
        asked.append(
            Asked(answer, intended=i * 100 * MS, prompt=f"p-{i}", prompt_text="nonce " + "x" * (2 * i), max_tokens=1)
        )
    rows, points, _ = cell(asked)
    assert [r["prompt_tokens"] for r in rows] == [40 + 3 * i for i in range(15)]
    assert points["tokens_per_character"]["value"] == 1.5


def test_p10_tokens_are_the_servers_usage_never_chunks_or_what_was_asked_for(cell):
    rows, points, reasons = cell(every(12, stream(["두 ", "글자"], tokens=6), max_tokens=128))
    assert {(r["output_tokens"], r["chunks"]) for r in rows} == {(6, 2)}
    assert points["output_tokens_mean"]["value"] == 6
    assert points["early_stop_share"]["value"] == 1
    assert "the shortest 6 of 128 tokens" in reasons


def test_p10_without_usage_there_is_no_rate_of_tokens_and_the_reason_is_told(cell):
    answer = [(50 * MS, head() + http_chunk(delta("a") + delta("b") + stop() + DONE) + END)]
    rows, points, _ = cell(every(12, answer))
    assert {(r["output_tokens"], r["tpot"], r["error"]) for r in rows} == {(None, None, None)}
    assert (points["output_throughput"]["value"], points["output_throughput"]["reason"]) == (None, "no-usage")
    assert points["character_throughput"]["value"] > 0


def test_p11_what_was_sent_during_the_ramp_is_not_measured(cell):
    slow = every(4, stream(["a"] * 8, first=200 * MS, gap=MS))
    steady = [Asked(stream(["a"] * 8), intended=(4 + i) * 300 * MS) for i in range(12)]
    _, points, _ = cell([*slow, *steady], ramp=4 * 300 * MS)
    assert (points["ttft_p50"]["n"], points["ttft_mean"]["value"]) == (12, 50 * MS)


def test_p12_thirty_requests_have_no_p99(cell):
    _, points, _ = cell(every(30, stream(["a"] * 8)))
    assert points["ttft_p50"]["value"] == 50 * MS
    for name in ("ttft_p90", "ttft_p95", "ttft_p99", "inter_chunk_p99", "e2e_p99"):
        assert (points[name]["value"], points[name]["reason"]) == (None, "too-few-requests")
    assert points["ttft_p99"]["needs"] == 662


def test_p13_a_schedule_that_was_not_kept_is_told_with_both_numbers(cell):
    _, points, reasons = cell(every(12, stream(["a"] * 8)), planned=20)
    assert "LOAD_NOT_DELIVERED" in points["ttft_p50"]["codes"]
    assert "12 of 20 requests" in reasons
    slipping = [Asked(stream(["a"] * 8), intended=i * 100 * MS, sent_lag=20_000 + i * 2 * MS) for i in range(12)]
    _, points, reasons = cell(slipping, rate=10.0)
    assert "LOAD_NOT_DELIVERED" in points["ttft_p50"]["codes"]
    assert "ms late (p50); the limit is 10 ms" in reasons or "were scheduled" in reasons


def test_p14_characters_split_over_chunks_and_events_are_whole(cell):
    text = "한국어 中文 🙂"
    raw = b"".join(delta(c) for c in text) + stop() + usage(9) + DONE
    data = head() + b"".join(http_chunk(raw[i : i + 1]) for i in range(len(raw))) + END
    answer = [((i + 1) * 1000, data[i : i + 1]) for i in range(len(data))]
    [row, *_], _, _ = cell(every(1, answer))
    assert (row["error"], row["output_chars"], row["output_bytes"]) == (None, len(text), len(text.encode()))


def test_p15_the_servers_own_numbers_are_set_beside_ours_and_never_taken(cell):
    before = {"m": {"generated_tokens": 100.0, "ttft_seconds_sum": 0.0, "ttft_seconds_count": 0.0}}
    agree = {"m": {"generated_tokens": 196.0, "ttft_seconds_sum": 12 * 0.048, "ttft_seconds_count": 12.0}}
    _, points, _ = cell(every(12, stream(["a"] * 8)), counters=(before, agree))
    assert points["ttft_p50"]["codes"] == ""
    differ = {"m": {"generated_tokens": 300.0, "ttft_seconds_sum": 12 * 0.5, "ttft_seconds_count": 12.0}}
    _, points, reasons = cell(every(12, stream(["a"] * 8)), counters=(before, differ))
    assert points["ttft_p50"]["value"] == 50 * MS
    assert points["ttft_p50"]["codes"] == "TOKEN_MISMATCH,TTFT_MISMATCH"
    assert "usage adds up to 96 output tokens, the server's counter to 200" in reasons
    assert "the server says 500.000 ms on average, the client saw 49.900 ms" in reasons
    assert CODES["TOKEN_MISMATCH"].fatal
    assert not CODES["TTFT_MISMATCH"].fatal
