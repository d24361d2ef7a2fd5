"""The search finds the load that a server of known capacity can keep."""

import json
import signal
import subprocess
import sys
import time

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


COMMAND = [sys.executable, "-m", "serving_study", "search", "--max-tokens", "2"]


def search(*options, model="one-by-one", form="--json"):
    command = [*COMMAND, "--model", model, *options, *([form] if form else [])]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


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
    assert json.loads((tmp_path / "search.json").read_text()) == found and found["finished"]


def test_an_objective_that_cannot_be_shown_is_refused(tmp_path):
    for options in (["--requests", "10", "--ttft-ms", "5"], ["--requests", "60"]):
        done = search("--url", "http://127.0.0.1:9", "--out", str(tmp_path), "--find", "users", "--most", "4", *options)
        assert done.returncode == 2 and "error: " in done.stderr


@pytest.mark.parametrize(
    ("option", "find"),
    [
        (("--step", "1"), "rate"),
        (("--step", "nan"), "rate"),
        (("--first", "0"), "rate"),
        (("--most", "-1"), "rate"),
        (("--most", "inf"), "rate"),
        (("--most", "0"), "users"),
        (("--most", "2.5"), "users"),
        (("--most", "5000"), "users"),
        (("--max-tokens", "0"), "users"),
        (("--deadline", "-1"), "users"),
    ],
)
def test_bounds_that_make_no_search_are_refused(tmp_path, option, find):
    given = ("--most", "4", *option)
    done = search("--url", "http://127.0.0.1:9", "--out", str(tmp_path), "--find", find, "--requests", "60",
                  "--ttft-ms", "50", *given)  # fmt: skip
    assert done.returncode == 2 and f"error: {option[0]} " in done.stderr and "Traceback" not in done.stderr


def test_a_load_that_is_not_valid_does_not_count_as_keeping(tmp_path):
    """Every objective is kept by far, but half of the prompts came from a cache."""
    options = ("--out", str(tmp_path), "--find", "users", "--most", "4", "--requests", "60", "--e2e-ms", "9000")
    with truth("--first-ms", "1", "--gap-ms", "1") as server:
        done = search("--url", server.url, *options, model="cached", form=None)
        assert search("--url", server.url, *options, model="steady").returncode == 0
    assert done.returncode == 1
    assert "not valid" in done.stdout and "CACHE_HIT: up to 100" in done.stdout
    assert "no load keeps the objective" in done.stdout


def test_failed_requests_count_against_a_load_and_are_told(tmp_path):
    with truth() as server:
        done = search("--url", server.url, "--out", str(tmp_path), "--find", "users", "--most", "4", "--requests", "60",
                      "--e2e-ms", "9000", model="overloaded")  # fmt: skip
    [step] = json.loads(done.stdout)["steps"]
    assert (done.returncode, step["keeps"], step["kept"]) == (1, False, 0)
    assert "60 of 60" in step["codes"]["ERRORS_OVER_LIMIT"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_a_search_tells_what_was_found(tmp_path, number):
    """The first load takes half a second, one of the next ones is interrupted."""
    command = [*COMMAND, "--model", "one-by-one", "--json", "--out", str(tmp_path), "--find", "users", "--most", "4096"]
    with truth("--first-ms", "1", "--gap-ms", "1") as server:
        command += ["--url", server.url, "--requests", "60", "--e2e-ms", "1000000"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while not (tmp_path / "search.json").exists() and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    found = json.loads(out)
    assert process.returncode == 128 + number and "Traceback" not in err
    assert found["highest"] >= 1 and not found["finished"]
    assert json.loads((tmp_path / "search.json").read_text()) == found
