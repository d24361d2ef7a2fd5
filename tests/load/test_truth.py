"""Metrics equal what the server did, for each pitfall; the server's own log is the truth."""

import numpy as np
import pytest

from serving_study.load.schedule import SECOND
from tests.truth.frames import MS
from tests.truth.harness import plan, truth
from tests.truth.measured import measured

N = 6
TOKENS = 16
FIRST, GAP = 20 * MS, 8 * MS


@pytest.fixture(scope="module")
def server():
    with truth("--first-ms", str(FIRST / MS), "--gap-ms", str(GAP / MS)) as running:
        yield running


def rows_and_log(server, folder, **changes):
    """Each request's metrics, and what the server did for it."""
    deadline = changes.pop("deadline_ns", 20 * SECOND)
    planned = plan(server.port, N, concurrency=3, max_tokens=TOKENS, deadline_ns=deadline, **changes)
    rows = measured(folder, planned, concurrency=3).metrics.to_pylist()
    log = server.log()
    return [(row, log[row["prompt"]]) for row in rows]


def texts(entry):
    """When each write that held text left, from the arrival of the request, and the text of all."""
    sent = zip(entry["sends"], entry["texts"], strict=True)
    return [at - entry["arrival_ns"] for at, text in sent if text], "".join(entry["texts"])


WHOLE = [
    "steady", "closes", "role-first", "empty-deltas", "bundled", "merged", "reasoning", "split-utf8", "byte-by-byte",
    "long-line", "stall", "slow-first", "usage-with-choices", "usage-everywhere", "no-usage", "no-done", "comments",
    "trailers", "close-delimited", "early-stop",
]  # fmt: skip


@pytest.mark.parametrize("model", WHOLE)
def test_what_was_generated_is_counted_as_it_was(server, tmp_path, model):
    for row, entry in rows_and_log(server, tmp_path, model=model):
        at, text = texts(entry)
        assert row["error"] is None
        assert row["output_tokens"] == (None if model == "no-usage" else sum(entry["tokens"]))
        assert row["output_chars"] == len(text)
        assert row["output_bytes"] == len(text.encode())
        assert row["finish"] == ("stop" if model == "early-stop" else "length")
        assert row["chunks"] <= len(at)


def timing_errors(server, folder, model):
    """Metric less truth, of each request, in ns."""
    errors = {"ttft_sent": [], "e2e_sent": [], "tpot": []}
    for row, entry in rows_and_log(server, folder, model=model):
        at, _ = texts(entry)
        errors["ttft_sent"].append(row["ttft_sent"] - at[0])
        errors["e2e_sent"].append(row["e2e_sent"] - at[-1])
        if row["tpot"] is not None:
            errors["tpot"].append(row["tpot"] - (at[-1] - at[0]) / (row["output_tokens"] - 1))
    return errors


@pytest.mark.parametrize("model", [model for model in WHOLE if model != "byte-by-byte"])
def test_times_are_those_of_the_server_and_never_before_them(server, tmp_path, model):
    """Within half a millisecond in the best of three: the machine may stop either process between two lines."""
    medians = []
    for attempt in range(3):
        errors = timing_errors(server, tmp_path / str(attempt), model)
        assert min(errors["ttft_sent"] + errors["e2e_sent"]) > -0.1 * MS
        medians.append(max(abs(np.median(found)) for found in errors.values() if found))
        if medians[-1] < 0.5 * MS:
            return
    raise AssertionError(f"median errors {medians} ns")


def test_the_first_event_is_not_the_first_token(server, tmp_path):
    for row, entry in rows_and_log(server, tmp_path, model="role-first"):
        assert row["ttfe"] < row["ttft"] - 10 * MS
        assert entry["texts"][0] == ""


@pytest.mark.parametrize(
    ("api", "dialect"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/v1/completions", "openai-completions"),
        ("/api/chat", "ollama"),
        ("/api/generate", "ollama"),
    ],
)
def test_each_dialect_tells_the_same(server, tmp_path, api, dialect):
    found = rows_and_log(server, tmp_path, api=api, dialect=dialect)
    for row, entry in found:
        assert (row["error"], row["output_tokens"], row["finish"]) == (None, TOKENS, "length")
        assert row["output_chars"] == len(texts(entry)[1])
    assert np.median([row["ttft_sent"] - texts(entry)[0][0] for row, entry in found]) < 0.5 * MS


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("unauthorized", "http-401"),
        ("not-found", "http-404"),
        ("too-many", "http-429"),
        ("broken", "http-500"),
        ("redirect", "redirect"),
        ("gzipped", "encoded"),
        ("html", "html"),
        ("no-http", "not-http"),
        ("plain", "not-a-stream"),
        ("error-midway", "stream-error"),
        ("reset", "reset"),
        ("cut", "closed"),
        ("silent", "deadline"),
        ("endless-stream", "deadline"),
        ("endless-line", "deadline"),
    ],
)
def test_each_failure_has_its_code_and_keeps_what_came(server, tmp_path, model, error):
    for row, entry in rows_and_log(server, tmp_path, model=model, deadline_ns=SECOND // 2):
        assert row["error"] == error
        if model in ("reset", "cut", "endless-stream"):
            assert 0 < row["output_chars"] <= len(texts(entry)[1])


def test_latency_counts_from_the_schedule_when_the_server_is_slow_to_accept(server, tmp_path):
    """Open loop: the wait of a request that could not leave in time is part of its TTFT (coordinated omission)."""
    planned = plan(server.port, 40, concurrency=None, offsets=[i * 2 * MS for i in range(40)], max_tokens=4)
    rows = measured(tmp_path, planned, concurrency=None).metrics.to_pylist()
    for row in rows:
        assert row["ttft"] == row["ttft_sent"] + row["sent_ns"] - row["intended_ns"]
        assert row["sent_ns"] >= row["intended_ns"]
