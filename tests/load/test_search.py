"""The search finds the load that a server of known capacity can keep."""

import json
import subprocess
import sys

import pytest

from serving_study.load.search import highest_rate, highest_users
from serving_study.metrics.bound import certain_share, needed
from tests.truth.harness import ROOT, truth


@pytest.mark.parametrize("true", [0, 1, 2, 3, 7, 8, 64, 100])
def test_users_are_found_exactly(true):
    tried = []

    def keeps(users):
        tried.append(users)
        return users <= true

    assert highest_users(keeps, 64) == min(true, 64)
    assert len(tried) <= 14 and len(set(tried)) == len(tried)


@pytest.mark.parametrize("true", [0.013, 0.9, 1.0, 37.2, 1000.0])
def test_a_rate_is_found_to_within_a_step(true):
    found = highest_rate(lambda rate: rate <= true, 1.0, 500.0, 1.05)
    assert found <= true and (found * 1.05 >= true or found == 500.0)


def test_a_rate_that_nothing_keeps_is_none():
    assert highest_rate(lambda rate: False, 1.0, 500.0, 1.05) == 0


def test_a_share_is_certain_only_with_enough_requests():
    assert needed(0.9) == 29 and certain_share(29, 29) >= 0.9 > certain_share(28, 28)
    assert certain_share(0, 10) == 0
    assert certain_share(95, 100) == pytest.approx(0.8977, abs=1e-4)


def search(*options):
    command = [sys.executable, "-m", "serving_study", "search", "--model", "one-by-one", "--max-tokens", "2", "--json"]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)


def test_most_users_of_a_server_that_serves_one_at_a_time(tmp_path):
    """20 ms each: with n users an answer takes n times 20 ms, so that 90 ms are kept by 4."""
    with truth("--first-ms", "1", "--gap-ms", "1") as server:
        done = search("--url", server.url, "--out", str(tmp_path), "--find", "users", "--most", "16",
                      "--requests", "60", "--e2e-ms", "90")  # fmt: skip
    found = json.loads(done.stdout)
    assert found["highest"] in (3, 4)
    assert all((tmp_path / step["folder"] / "cell.json").exists() for step in found["steps"])
    broken = [step for step in found["steps"] if not step["keeps"]]
    assert broken and min(step["load"] for step in broken) > found["highest"]


def test_an_objective_that_cannot_be_shown_is_refused(tmp_path):
    for options in (["--requests", "10", "--ttft-ms", "5"], ["--requests", "60"]):
        done = search("--url", "http://127.0.0.1:9", "--out", str(tmp_path), "--find", "users", "--most", "4", *options)
        assert done.returncode == 2 and "error: " in done.stderr
