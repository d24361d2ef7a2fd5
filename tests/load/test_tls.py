"""Under TLS everything is recorded but the kernel's times, which it cannot know."""

import pytest

from serving_study.load.point import run_point
from tests.truth.harness import certificate, plan, truth
from tests.truth.measured import measured


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(certified):
    with truth("--first-ms", "20", "--gap-ms", "4", "--tls", *map(str, certified)) as running:
        yield running


@pytest.mark.parametrize("connection", ["fresh", "pooled"])
def test_a_trusted_server_is_measured_without_kernel_times(server, certified, tmp_path, monkeypatch, connection):
    monkeypatch.setenv("SSL_CERT_FILE", str(certified[0]))
    planned = plan(server.port, 6, concurrency=2, host="localhost", tls=True, connection=connection)
    rows = measured(tmp_path, planned, concurrency=2).metrics.to_pylist()
    for row in rows:
        assert (row["error"], row["output_tokens"], row["client_lag"]) == (None, 8, None)
        assert row["ttft"] >= 20e6 and row["e2e"] >= 20e6 + 7 * 4e6
    assert [row["connect"] is None for row in rows].count(True) == (4 if connection == "pooled" else 0)


def test_a_certificate_that_nobody_signed_is_refused(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    recording = run_point(plan(server.port, 2, concurrency=2, tls=True), concurrency=2)
    assert recording.outcomes() == {"tls": 2}
