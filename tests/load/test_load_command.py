"""``python -m serving_study load`` works against any URL, and says in plain words what went wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from serving_study.load import point
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.serving import standalone
from serving_study.serving.endpoint import endpoint
from serving_study.study.prompts import Prompt
from serving_study.study.types import Workload
from tests.truth.harness import ROOT, truth

PROMPTS = (Prompt(id="p", kind="question", length="short", text="Why?"),)
LATENCIES = ("ttft_ms", "tpot_ms", "inter_chunk_ms", "e2e_ms", "send_lag_ms", "client_lag_ms")


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", "10", "--gap-ms", "2") as running:
        yield running


def load(url, out, *options, model="steady", environment=None):
    command = [sys.executable, "-m", "serving_study", "load", "--url", url, "--model", model, "--out", str(out)]
    command += ["--max-tokens", "8", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | (environment or {}))


def test_closed_loop_prints_a_table_and_leaves_raw_files(server, tmp_path):
    done = load(server.url, tmp_path, "--concurrency", "2,4", "--requests", "8")
    assert done.returncode == 0, done.stderr
    assert "ttft ms" in done.stdout and "16 requests (none failed)" in done.stdout
    assert "c2: 8 complete" in done.stderr and "c4: 8 complete" in done.stderr
    assert pq.read_metadata(tmp_path / "requests.parquet").num_rows == 16
    windows = json.loads((tmp_path / "cell.json").read_text())["windows"]
    assert [window["concurrency"] for window in windows] == [2, 4]


def test_open_loop_prints_json(server, tmp_path):
    done = load(server.url + "/v1", tmp_path, "--rate", "200", "--requests", "20", "--json")
    found = json.loads(done.stdout)
    assert {"n", "p50", "p90", "p95", "p99", "mean"} <= set(found["ttft_ms"])
    assert all(found[name]["n"] == 20 for name in LATENCIES)
    assert found["ttft_ms"]["p50"] >= 10 and found["ttft_ms"]["p99"] is None
    assert found["requests"] == 20 and found["errors"] == {}
    assert found["client_cpu_s"] > 0 and found["tokens_per_client_cpu_s"] > 0 and "validity" in found
    again = subprocess.run(
        [sys.executable, "-m", "serving_study", "metrics", str(tmp_path), "--json"], cwd=ROOT, capture_output=True
    )
    assert json.loads(again.stdout) == found


@pytest.mark.parametrize(
    ("model", "code", "advice"),
    [
        ("unauthorized", "http-401", "key"),
        ("not-found", "http-404", "--model"),
        ("too-many", "http-429", "429 Too Many Requests; lower the load"),
        ("broken", "http-500", "its log"),
        ("overloaded", "http-503", "503 Service Unavailable; the server failed"),
        ("html", "html", "web site"),
    ],
)
def test_what_a_server_refuses_is_named_with_what_to_try(server, tmp_path, model, code, advice):
    done = load(server.url, tmp_path, "--concurrency", "1", "--requests", "2", "--json", model=model)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["errors"] == {code: 2} and found["examples"][code].isprintable()
    assert code in done.stderr and advice in done.stderr


def test_a_dead_url_is_told_apart_from_a_bad_one(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = load(f"http://127.0.0.1:{port}", tmp_path, "--concurrency", "1", "--requests", "2")
    assert done.returncode == 1 and "refused" in done.stderr
    for url in ("localhost:8000", "http://no.such.host.invalid", "ftp://x", "http://[x"):
        done = load(url, tmp_path, "--concurrency", "1", "--requests", "2")
        assert done.returncode == 2 and "error: " in done.stderr and "Traceback" not in done.stderr


def test_the_key_is_sent_and_written_nowhere(server, tmp_path):
    key = "sk-very-secret-0123456789"
    done = load(
        server.url,
        tmp_path,
        "--concurrency",
        "1",
        "--requests",
        "2",
        "--key",
        "OWN_KEY",
        environment={"OWN_KEY": key},
    )
    assert done.returncode == 0, done.stderr
    heads = [entry["head"] for entry in server.log().values()]
    assert heads and all(f"Authorization: Bearer {key}" in head for head in heads[-2:])
    assert key not in done.stdout + done.stderr
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    table = pq.read_table(tmp_path / "requests.parquet")
    assert all(key.encode() not in payload for payload in table["payload"].to_pylist())


def test_a_key_that_the_server_sends_back_is_blotted_out(server, tmp_path):
    options = ["--concurrency", "1", "--requests", "2", "--key", "OWN_KEY"]
    load(server.url, tmp_path, *options, model="indiscreet", environment={"OWN_KEY": "sk-another-secret"})
    answers = b"".join(pq.read_table(tmp_path / "chunks.parquet")["data"].to_pylist())
    assert b"Bearer *****************" in answers and b"sk-another-secret" not in answers


def stopped(server, out, number, *options, model="endless-stream"):
    """The command, ended by a signal some seconds after it began."""
    command = [sys.executable, "-m", "serving_study", "load", "--url", server.url, "--model", model]
    command += ["--out", str(out), "--deadline", "60", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        file = out / "requests.parquet"
        while not file.exists() and process.poll() is None:
            time.sleep(0.05)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(number)
        process.said, process.complained = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in process.complained
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_keeps_what_was_received(server, tmp_path, number, workers):
    stopped(server, tmp_path, number, "--concurrency", "2", "--requests", "4", "--workers", workers)
    outcomes = pq.read_table(tmp_path / "requests.parquet")["outcome"].to_pylist()
    assert outcomes == ["interrupted"] * 4
    assert pq.read_metadata(tmp_path / "chunks.parquet").num_rows > 0


def test_an_interrupt_of_a_sweep_keeps_the_points_before(server, tmp_path):
    """The second point sends at once and then, a request every five minutes, no more."""
    done = stopped(server, tmp_path, signal.SIGTERM, "--rate", "100,0.003", "--arrivals", "constant",
                   "--requests", "20", "--json", model="steady")  # fmt: skip
    windows = json.loads((tmp_path / "cell.json").read_text())["windows"]
    assert [window["workload"] for window in windows] == ["r100", "r0.003"]
    whole, cut = json.loads(done.said)["points"][::-1]
    assert whole["workload"] == "r100" and whole["errors"] == {} and "LOAD_NOT_DELIVERED" not in whole["validity"]
    assert cut["validity"]["LOAD_NOT_DELIVERED"]["fatal"]


def test_an_error_in_a_later_point_keeps_the_points_before(server, tmp_path, monkeypatch):
    asked = []

    def run_point(planned, **options):
        asked.append(planned)
        if len(asked) == 2:
            raise OSError("no space left on device")
        return point.run_point(planned, **options)

    monkeypatch.setattr(standalone, "run_point", run_point)
    asking = standalone.Standalone(endpoint(server.url, "chat"), ["steady"], PROMPTS, "en", 1, None)
    works = {name: Workload(concurrency=2, requests=4, max_tokens=4) for name in ("c1", "c2")}
    with pytest.raises(OSError, match="no space"):
        asking.measure(tmp_path, works)
    derived = derive(tmp_path / "cell.json", Judging())
    assert [(each.workload, each.table.num_rows) for each in derived.each] == [("c1", 4)]


def test_two_runs_ask_with_different_nonces_unless_a_seed_is_given(server, tmp_path):
    def nonces(name, *options):
        done = load(server.url, tmp_path / name, "--concurrency", "4", "--requests", "12", *options)
        seed = json.loads((tmp_path / name / "cell.json").read_text())["plan"]["seed"]
        assert f"--seed {seed} " in done.stderr
        return seed, set(pq.read_table(tmp_path / name / "requests.parquet")["nonce"].to_pylist())

    (one, first), (other, second) = nonces("first"), nonces("second")
    assert one != other and len(first | second) == 24
    assert nonces("again", "--seed", str(one)) == (one, first)


def test_fewer_requests_than_recorded_are_replayed_as_they_were(server, tmp_path):
    file = tmp_path / "arrivals.txt"
    file.write_text("0\n0.1\n0.2\n60\n61\n")
    load(server.url, tmp_path / "out", "--replay", str(file), "--requests", "3")
    intended = pq.read_table(tmp_path / "out" / "requests.parquet")["intended_ns"].to_pylist()
    assert [at - intended[0] for at in intended] == pytest.approx([0, 100_000_000, 200_000_000], abs=10)


LOOP = ("--concurrency", "1")


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("no-such-file", ("--replay", "no-such-file")),
        ("--body", (*LOOP, "--body", "[1]")),
        ("--body", (*LOOP, "--body", "{")),
        ("JSON", (*LOOP, "--body", '{"n": 123456789012345678901234567890}')),
        ("Punycode", (*LOOP, "--url", "http://münchen.example")),
        ("percent-encoded", (*LOOP, "--url", "http://127.0.0.1:1/모델/v1")),
        ("--out", (*LOOP, "--out", "pyproject.toml")),
        ("no address", (*LOOP, "--url", "http://no.such.host.invalid", "--workers", "2")),
        ("--workers", (*LOOP, "--workers", "0")),
        ("SSL_CERT_FILE", (*LOOP, "--url", "https://127.0.0.1:1", "--workers", "2")),
    ],
)
def test_a_bad_input_is_named_and_no_trace_printed(server, tmp_path, said, options):
    done = load(server.url, tmp_path, "--requests", "2", *options, environment={"SSL_CERT_FILE": "/no/such/file"})
    assert done.returncode == 2
    assert "error: " in done.stderr and said in done.stderr and "Traceback" not in done.stderr


def test_prompts_come_from_anywhere(server, tmp_path):
    own = tmp_path / "own.jsonl"
    own.write_text('"안녕하세요"\n{"prompt": "你好"}\n{"messages": [{"role": "user", "content": "Hello"}]}\n')
    for options in (["--prompts", str(own)], ["--input-tokens", "32"], ["--language", "ko"]):
        done = load(server.url, tmp_path / "out", "--concurrency", "1", "--requests", "3", *options)
        assert done.returncode == 0, done.stderr
    done = load(
        server.url, tmp_path / "out", "--concurrency", "1", "--requests", "3", "--prompts", str(tmp_path / "no")
    )
    assert done.returncode == 2
