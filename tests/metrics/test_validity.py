"""Each validity code appears when it should, with both numbers, and not otherwise."""

from __future__ import annotations

import json
import random

import pytest
from raw_cell import DONE, END, MS, Asked, RawCell, delta, head, http_chunk, stop, stream, usage

from serving_study.metrics.codes import CODES
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.validity import fatal
from serving_study.study.types import Limits


@pytest.fixture
def codes(tmp_path):
    """Codes and reasons of a cell's first point."""

    def judged(asked: list[Asked], limits: Limits | None = None, **more) -> dict[str, str]:
        found = derive(RawCell(tmp_path, asked, **more).write(), Judging({}, limits or Limits()))
        row = found.points.to_pylist()[0]
        reasons = json.loads(row["reasons"])
        assert ",".join(reasons) == row["codes"]
        assert row["fatal"] == fatal(reasons)
        return reasons

    return judged


def every(n: int, answer=None, apart: int = 150, **more) -> list[Asked]:
    return [Asked(answer or stream(["a"] * 8), intended=i * apart * MS, **more) for i in range(n)]


def test_a_good_point_has_none(codes):
    assert codes(every(20)) == {}


def test_errors_over_the_limit(codes):
    bad = [(MS, b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")]
    asked = every(49)
    asked[7].arrivals = bad
    assert "1 of 49 requests failed" in codes(asked)["ERRORS_OVER_LIMIT"]
    assert "ERRORS_OVER_LIMIT" not in codes(asked, Limits(error_share=0.05))


def test_lag_is_judged_at_the_highest_percentile_that_may_be_shown(codes):
    asked = every(20)
    asked[3].kernel_lag = 100 * MS
    assert codes(asked) == {}
    for one in asked[:11]:
        one.kernel_lag = 8 * MS
    assert codes(asked)["CLIENT_LAG"].startswith("bytes waited 8.000 ms for the client (p50)")


def test_late_sends(codes):
    assert "requests left 24.980 ms late (p50)" in codes(every(20, sent_lag=25 * MS))["LOAD_NOT_DELIVERED"]


def test_an_open_loop_that_fell_behind_its_rate(codes):
    asked = [Asked(stream(["a"] * 8), intended=i * 100 * MS, sent_lag=20_000 + 2 * i * MS) for i in range(12)]
    assert (
        "9.804 requests/s were sent, 10 were scheduled"
        in codes(asked, Limits(send_lag_ms=50), rate=10.0)["LOAD_NOT_DELIVERED"]
    )
    assert codes(asked, Limits(send_lag_ms=50), concurrency=4) == {}


def test_answers_that_ended_early_are_noted(codes):
    found = codes(every(20, max_tokens=9))
    assert found == {"EARLY_STOP": "20 of 20 answers were short, the shortest 8 of 9 tokens"}
    assert not fatal(found)


def test_a_throughput_that_drifts_is_noted_when_it_is_clear_in_this_life(codes):
    at, asked = 0, []
    for i in range(80):
        gap = 10 + i // 4
        asked.append(Asked(stream(["a"] * 8, gap=gap * MS), intended=at * MS))
        at += 50 + 8 * gap
    assert "throughput drifted by -" in codes(asked)["NOT_STEADY"]


def drift_of(folder, asked) -> dict:
    points = derive(RawCell(folder, asked).write(), Judging()).points.to_pylist()
    return next(row for row in points if row["metric"] == "drift")


def test_drift_is_shown_only_where_it_can_be_told_from_the_mix_of_prompts(tmp_path):
    steady = [Asked(stream(["a"] * 8), intended=i * 122 * MS) for i in range(100)]
    assert abs(drift_of(tmp_path, steady)["value"]) < 0.04
    few = drift_of(tmp_path, steady[:12])
    assert (few["value"], few["reason"], few["needs"]) == (None, "too-few-requests", 64)
    mixed, at = [], 0
    draw = random.Random(1)
    for _ in range(70):
        gap = draw.choice((10, 10, 60))
        mixed.append(Asked(stream(["a"] * 8, gap=gap * MS), intended=at * MS))
        at += 50 + 8 * gap
    assert drift_of(tmp_path, mixed)["reason"] == "too-noisy"


def test_requests_that_hold_their_connection_after_the_text_break_littles_law(codes):
    found = codes(every(20, ended=2000 * MS))
    assert "rate times latency gives" in found["LITTLES_LAW"]


def test_what_the_measuring_job_recorded_is_carried_and_unknown_codes_are_fatal(codes):
    found = codes(every(12), codes={"NOISY_HOST": "others took 9 %", "SERVER_RESTARTED": "pid 1 became 2"})
    assert list(found) == ["SERVER_RESTARTED", "NOISY_HOST"]
    assert fatal(found)
    assert not fatal({"NOISY_HOST": ""})
    assert fatal({"SOMETHING_NEW": ""})


def test_each_code_is_decided_once_with_a_reason():
    assert all(code.says and code.limit and code.why for code in CODES.values())


def test_a_closed_loop_with_a_ramp_obeys_littles_law(codes):
    asked = [Asked(stream(["a"] * 8), intended=(i // 4) * 122 * MS + (i % 4) * MS) for i in range(80)]
    assert codes(asked, ramp=300 * MS, concurrency=4) == {}


def test_usage_that_no_counter_confirms_is_fatal(codes):
    answer = [(50 * MS, head() + http_chunk(delta("a") + stop() + usage(8) + DONE) + END)]
    counters = ({"m": {"generated_tokens": 0.0}}, {"m": {"generated_tokens": 500.0}})
    assert "TOKEN_MISMATCH" in codes(every(20, answer), counters=counters)
    close = ({"m": {"generated_tokens": 0.0}}, {"m": {"generated_tokens": 140.0}})
    assert codes(every(20, answer), counters=close) == {}
