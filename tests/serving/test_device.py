from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serving_study.serving.device import measuring_alone

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys, time
from pathlib import Path
from serving_study.serving.device import measuring_alone
with measuring_alone(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.readline()
"""


def holder(lock: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDS, str(lock)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def first_line(job: subprocess.Popen[str]) -> str:
    assert job.stdout is not None
    return job.stdout.readline()


def test_the_second_measurement_waits_for_the_first_and_says_for_whom(tmp_path):
    with holder(tmp_path / "lock") as first:
        assert first_line(first) == "mine\n"
        with holder(tmp_path / "lock") as second:
            said = first_line(second)
            assert "waiting until another measurement on this host is done" in said
            assert f"process {first.pid}" in said
            first.communicate("\n")
            assert first_line(second) == "mine\n"
            second.communicate("\n")


def test_a_killed_holder_gives_the_lock_back(tmp_path):
    with holder(tmp_path / "lock") as first:
        assert first_line(first) == "mine\n"
        first.kill()
        first.communicate()
    with measuring_alone(tmp_path / "lock"):
        pass


def test_a_lock_that_another_user_made_can_be_held(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("process 1\n")
    lock.chmod(0o444)
    with measuring_alone(lock):
        assert os.access(lock, os.R_OK)
