"""``python -m serving_study metrics`` says what the tables say."""

from __future__ import annotations

import json

import pytest
from raw_cell import DONE, END, MS, Asked, RawCell, delta, head, http_chunk, stop, stream

from serving_study.__main__ import main

LATENCIES = ("ttft_ms", "tpot_ms", "inter_chunk_ms", "e2e_ms", "send_lag_ms", "client_lag_ms")


@pytest.fixture
def folder(tmp_path):
    asked = [Asked(stream(["a", "b ", "한국"]), intended=i * 80 * MS, max_tokens=3) for i in range(14)]
    busy = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 9\r\n\r\nslow down"
    failed = Asked([(MS, busy)], intended=14 * 80 * MS)
    refused = Asked([], intended=15 * 80 * MS, outcome="refused", sent_lag=None)
    RawCell(tmp_path, [*asked, failed, refused]).write()
    return tmp_path


def test_json_has_every_latency_with_its_n_percentiles_and_mean(folder, capsys):
    assert main(["metrics", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in LATENCIES:
        assert set(found[name]) == {"n", "p50", "p90", "p95", "p99", "mean"}
    assert found["ttft_ms"] == {"n": 14, "p50": 50, "p90": None, "p95": None, "p99": None, "mean": 50}
    assert found["inter_chunk_ms"]["p50"] == 10
    assert found["requests"] == 16
    assert found["errors"] == {"http-429": 1, "refused": 1}
    assert found["tokens_per_client_cpu_s"] == 14 * 3 / 0.25
    assert found["output_tokens_per_s"] == pytest.approx(14 * 3 / (15 * 80 + 1) * 1000, rel=1e-6)
    assert found["validity"]["ERRORS_OVER_LIMIT"]["fatal"]
    assert "2 of 16" in found["validity"]["ERRORS_OVER_LIMIT"]["reason"]


def test_the_table_names_what_failed_and_what_is_not_valid(folder, capsys):
    assert main(["metrics", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 http-429, 1 refused" in out
    assert "http-429, one of them: slow down" in out
    assert "INVALID: ERRORS_OVER_LIMIT" in out


def test_a_folder_without_a_cell_is_an_error_that_says_what_to_give(tmp_path, capsys):
    assert main(["metrics", str(tmp_path)]) == 2
    assert "give the cell.json of a measured cell" in capsys.readouterr().err


def test_several_points_are_summed_up_and_told_apart(tmp_path, capsys):
    asked = [
        Asked(stream(["a", "b"]), intended=i * 80 * MS, workload=w, max_tokens=2)
        for w in ("c1", "c4")
        for i in range(12)
    ]
    RawCell(tmp_path, asked).write()
    assert main(["metrics", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [p["workload"] for p in found["points"]] == ["c1", "c4"]
    assert found["ttft_ms"]["n"] == 24
    assert found["points"][0]["ttft_ms"]["n"] == 12
    assert found["points"][0]["ttft_ms"]["p50"] == 50
    assert found["client_cpu_s"] == 0.5


def sweep(tmp_path, **more):
    """Two loads: the second three times as slow."""
    asked = [
        Asked(stream(["a", "b"], first=first * MS), intended=i * 400 * MS, workload=w, max_tokens=2)
        for w, first in (("c1", 50), ("c4", 150))
        for i in range(12)
    ]
    return RawCell(tmp_path, asked, **more).write()


def test_points_of_a_sweep_are_never_mixed(tmp_path, capsys):
    sweep(tmp_path)
    main(["metrics", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    for name in LATENCIES:
        assert {key for key, value in found[name].items() if value is not None} == {"n"}
    assert found["output_tokens_per_s"] is None and found["tokens_per_client_cpu_s"] is None
    assert [p["ttft_ms"]["p50"] for p in found["points"]] == [50, 150]
    main(["metrics", str(tmp_path)])
    out = capsys.readouterr().out
    ttft = [line.split()[2:5] for line in out.splitlines() if line.startswith("ttft ms")]
    assert ttft == [["12", "50.000", "50.000"], ["12", "150.000", "150.000"]]
    assert "c1, m\n" in out and "c4, m\n" in out and "in all 24 requests (none failed)" in out


def test_a_code_of_a_sweep_says_whose_it_is_and_one_of_the_job_says_it_once(tmp_path, capsys):
    sweep(tmp_path, planned=13, codes={"CLOCK_STEP": "stepped"})
    main(["metrics", str(tmp_path), "--json"])
    judged = json.loads(capsys.readouterr().out)["validity"]
    assert judged["LOAD_NOT_DELIVERED"]["reason"].startswith("c1/m: 12 of 13 ")
    assert "; c4/m: 12 of 13 " in judged["LOAD_NOT_DELIVERED"]["reason"]
    assert judged["CLOCK_STEP"] == {"fatal": True, "reason": "stepped"}


def test_models_under_one_load_share_its_throughput_and_not_its_latencies(tmp_path, capsys):
    asked = [Asked(stream(["a", "b"]), intended=i * 80 * MS, model="mn"[i % 2], max_tokens=2) for i in range(24)]
    RawCell(tmp_path, asked).write()
    main(["metrics", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    each = found["points"]
    assert found["output_tokens_per_s"] == pytest.approx(sum(p["output_tokens_per_s"] for p in each))
    assert found["ttft_ms"]["p50"] is None
    assert found["tokens_per_client_cpu_s"] == 48 / 0.25
    assert [p["tokens_per_client_cpu_s"] for p in each] == [None, None]


def test_without_usage_nobody_knows_what_a_token_cost_the_client(tmp_path, capsys):
    silent = [(50 * MS, head() + http_chunk(delta("a") + stop() + DONE) + END)]
    RawCell(tmp_path, [Asked(stream(["a"]), intended=i * 80 * MS) for i in range(3)] + [Asked(silent)]).write()
    main(["metrics", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["tokens_per_client_cpu_s"] is None


@pytest.mark.parametrize(("users", "noted"), [(1, False), (4, True)])
def test_a_closed_loop_that_hardly_had_its_users_is_noted(tmp_path, capsys, users, noted):
    """Requests of 61 ms every 80 ms: three quarters of one user."""
    RawCell(tmp_path, [Asked(stream(["a", "b"]), intended=i * 80 * MS) for i in range(12)], concurrency=users).write()
    main(["metrics", str(tmp_path)])
    assert (f"0.8 of {users} users" in capsys.readouterr().out) == noted


@pytest.mark.parametrize(("lag", "noted"), [(50_000, False), (None, True)])
def test_a_lag_that_nobody_knows_is_noted_with_what_tells_more(tmp_path, capsys, lag, noted):
    RawCell(tmp_path, [Asked(stream(["a", "b"]), intended=i * 80 * MS, kernel_lag=lag) for i in range(3)]).write()
    main(["metrics", str(tmp_path)])
    assert ("benchmarks.calibration" in capsys.readouterr().out) == noted
