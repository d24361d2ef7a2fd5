"""``python -m serving_study metrics`` says what the tables say."""

from __future__ import annotations

import json

import pytest
from raw_cell import MS, Asked, RawCell, stream

from serving_study.__main__ import main

LATENCIES = ("ttft_ms", "tpot_ms", "inter_chunk_ms", "e2e_ms", "send_lag_ms", "client_lag_ms")


@pytest.fixture
def folder(tmp_path):
    asked = [Asked(stream(["a", "b ", "한국"]), intended=i * 80 * MS, max_tokens=3) for i in range(14)]
    failed = Asked([(MS, b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")], intended=14 * 80 * MS)
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
    assert found["output_tokens_per_s"] == pytest.approx(found["points"][1]["output_tokens_per_s"])
    assert found["client_cpu_s"] == 0.5
