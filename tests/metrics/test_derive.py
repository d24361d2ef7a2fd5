"""A cell's raw files become the rows that their known timing says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from raw_cell import MS, Asked, RawCell, stream

from serving_study.__main__ import main
from serving_study.metrics.derive import derive
from serving_study.metrics.payload import prompt_characters
from serving_study.metrics.point import Judging
from serving_study.metrics.tables import METRICS, POINTS
from serving_study.study.types import Slo

ROOT = Path(__file__).parents[2]


def twenty(folder: Path) -> Path:
    return RawCell(folder, [Asked(stream(["a", "b ", "한국"]), intended=i * 80 * MS) for i in range(20)]).write()


def values(points, name):
    [row] = [r for r in points.to_pylist() if r["metric"] == name]
    return row


def test_latencies_of_a_request_equal_the_timing_that_it_was_given(tmp_path):
    metrics = derive(twenty(tmp_path), Judging()).metrics
    row = metrics.to_pylist()[7]
    assert row["request"] == 7
    assert (row["ttft"], row["ttfe"], row["e2e"], row["tpot"]) == (50 * MS, 45 * MS, 70 * MS, 10 * MS)
    assert (row["ttft_sent"], row["e2e_sent"]) == (50 * MS - 100_000, 70 * MS - 100_000)
    assert (row["connect"], row["send_lag"], row["client_lag"]) == (20_000, 80_000, 50_000)
    assert (row["output_chars"], row["output_bytes"], row["chunks"]) == (5, 9, 3)


def test_throughput_is_the_tokens_inside_the_window_over_its_length(tmp_path):
    points = derive(twenty(tmp_path), Judging()).points
    seconds = (19 * 80 + 71) / 1000
    assert values(points, "output_throughput")["value"] == pytest.approx(60 / seconds, rel=1e-11)
    assert values(points, "character_throughput")["value"] == pytest.approx(100 / seconds, rel=1e-11)
    assert values(points, "request_throughput")["value"] == pytest.approx(20 / seconds, rel=1e-11)


def test_tokens_before_the_window_and_after_it_are_left_out(tmp_path):
    asked = [Asked(stream(list("abcdefgh")), intended=i * 130 * MS) for i in range(10)]
    cell = RawCell(tmp_path, asked, ramp=1 * 130 * MS + 85 * MS).write()
    derived = derive(cell, Judging())
    first, second, third = derived.metrics.to_pylist()[:3]
    assert [first["measured"], second["measured"], third["measured"]] == [False, False, True]
    assert [first["window_chars"], second["window_chars"], third["window_chars"]] == [0, 4, 8]
    seconds = (9 * 130 + 121 - 215) / 1000
    assert values(derived.points, "output_throughput")["value"] == pytest.approx((4 + 8 * 8) / seconds, rel=1e-11)


def test_percentiles_are_shown_only_with_enough_requests(tmp_path):
    points = derive(twenty(tmp_path), Judging()).points
    assert values(points, "ttft_p50")["value"] == 50 * MS
    hidden = values(points, "ttft_p90")
    assert (hidden["value"], hidden["n"], hidden["needs"], hidden["reason"]) == (None, 20, 64, "too-few-requests")


def test_the_objective_counts_requests_within_every_limit(tmp_path):
    points = derive(twenty(tmp_path), Judging({"quick": Slo(ttft_ms=51), "no": Slo(ttft_ms=51, e2e_ms=69)})).points
    assert values(points, "attainment_quick")["value"] == 1
    assert values(points, "attainment_no")["value"] == 0
    assert values(points, "goodput_no")["value"] == 0


def test_the_command_writes_both_tables_and_twice_the_same_bytes(tmp_path):
    cell = twenty(tmp_path / "cell")
    for name in "ab":
        out = tmp_path / name
        arguments = [
            "derive",
            "--cell",
            str(cell),
            "--metrics",
            str(out / "m.parquet"),
            "--points",
            str(out / "p.parquet"),
        ]
        assert main(arguments) == 0
    assert pq.read_schema(tmp_path / "a" / "m.parquet").equals(METRICS)
    assert pq.read_schema(tmp_path / "a" / "p.parquet").equals(POINTS)
    for name in ("m.parquet", "p.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_every_process_gives_the_same_bytes(tmp_path):
    cell = twenty(tmp_path / "cell")
    written = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-m", "serving_study", "derive", "--cell", str(cell)]
        command += ["--metrics", str(out / "m.parquet"), "--points", str(out / "p.parquet")]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed})
        written.append([(out / name).read_bytes() for name in ("m.parquet", "p.parquet")])
    assert written[0] == written[1]


def test_the_order_and_the_row_groups_of_chunks_do_not_matter(tmp_path):
    asked = [Asked(stream(["a", "b ", "한국"]), intended=i * 3 * MS) for i in range(20)]
    cells = [RawCell(tmp_path / str(size), asked, row_group=size).write() for size in (3, 1000)]
    one, other = (derive(cell, Judging()) for cell in cells)
    assert one.metrics.equals(other.metrics)
    assert one.points.equals(other.points)


def test_rows_are_gathered_in_batches(tmp_path, monkeypatch):
    whole = derive(twenty(tmp_path), Judging())
    monkeypatch.setattr("serving_study.metrics.derive._ROWS", 3)
    monkeypatch.setattr("serving_study.metrics.flow._TOGETHER", 4)
    parts = derive(tmp_path / "cell.json", Judging())
    assert parts.metrics.equals(whole.metrics)
    assert parts.points.equals(whole.points)


def test_a_plan_or_a_cell_that_is_not_one_is_told_with_its_key(tmp_path, capsys):
    cell = twenty(tmp_path)
    arguments = ["--cell", str(cell), "--metrics", str(tmp_path / "m"), "--points", str(tmp_path / "p")]
    assert main(["derive", '{"slos": {"x": {"ttft_ms": -1}}, "limits": {}}', *arguments]) == 2
    assert "plan: slos.x.ttft_ms" in capsys.readouterr().err
    cell.write_text('{"study": "s"}')
    assert main(["derive", *arguments]) == 2
    assert "cell.json: deployment: Field required; measure the cell again" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_the_plan_gives_limits_and_objectives(tmp_path):
    plan = '{"slos": {"quick": {"ttft_ms": 51}}, "limits": {"client_lag_ms": 0.01}}'
    cell, out = twenty(tmp_path), tmp_path / "p"
    assert main(["derive", plan, "--cell", str(cell), "--metrics", str(tmp_path / "m"), "--points", str(out)]) == 0
    points = pq.read_table(out)
    assert values(points, "attainment_quick")["value"] == 1
    assert values(points, "attainment_quick")["codes"].startswith("CLIENT_LAG")


@pytest.mark.parametrize(
    ("body", "characters"),
    [
        (b'{"prompt": "\xed\x95\x9c\xea\xb5\xad"}', 2),
        (b'{"messages": [{"content": "ab"}, {"content": "c"}, {"content": null}, 7]}', 3),
        (b'{"messages": []}', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_the_length_of_a_prompt_is_read_from_the_request_as_sent(body, characters):
    assert prompt_characters(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + body) == characters
