from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving_study.serving import cache, install
from serving_study.study.errors import StudyError

ROOT = Path(__file__).parents[2]
VERSION = "2026.10.11549"
INSTALL = f"""
from serving_study import engines
from serving_study.serving.install import install
print(install(engines.load("llamacpp"), "{VERSION}"))
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVING_STUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


def test_an_engine_is_installed_into_an_empty_cache_and_its_receipt_says_what_it_is(llamacpp):
    home = install.install(llamacpp, VERSION)
    said = cache.receipt(home)
    assert said is not None
    assert said["versions"] == {"xllamacpp": VERSION, "llama.cpp": "b11549"}
    assert said["lock"] == f"llamacpp-{VERSION}.lock"
    assert said["bytes"] > 10_000_000
    again = subprocess.run([home / "bin" / "python", "-I", "-c", "import xllamacpp"], check=False)
    assert again.returncode == 0


def test_an_engine_that_stands_is_not_installed_again(llamacpp, monkeypatch):
    home = install.install(llamacpp, VERSION)
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert install.install(llamacpp, VERSION) == home


def test_another_lock_is_another_folder(llamacpp, tmp_path, monkeypatch):
    before = install.home(llamacpp, VERSION)
    lock = (install.ENVS / f"llamacpp-{VERSION}.lock").read_text()
    (tmp_path / f"llamacpp-{VERSION}.lock").write_text(lock + "# one line more\n")
    monkeypatch.setattr(install, "ENVS", tmp_path)
    assert install.home(llamacpp, VERSION) != before


def test_a_wrong_hash_names_the_lock_the_package_the_cause_and_the_next_step(llamacpp, tmp_path, monkeypatch):
    lock = (install.ENVS / f"llamacpp-{VERSION}.lock").read_text()
    wrong = re.sub(r"sha256:\w+", "sha256:" + "0" * 64, lock)
    (tmp_path / f"llamacpp-{VERSION}.lock").write_text(wrong)
    monkeypatch.setattr(install, "ENVS", tmp_path)
    with pytest.raises(StudyError) as told:
        install.install(llamacpp, VERSION)
    message = str(told.value)
    assert f"llamacpp-{VERSION}.lock: xllamacpp=={VERSION}: " in message
    assert "another sha256 than the lock allows" in message
    assert "Next: do not use it" in message
    assert cache.receipt(install.home(llamacpp, VERSION)) is None


def test_a_version_without_a_lock_is_told_with_those_that_have_one(llamacpp):
    with pytest.raises(StudyError, match=rf"there is no lock for llama\.cpp 1\.0: locked are .*{VERSION}.*Next: "):
        install.install(llamacpp, "1.0")


def test_an_index_that_does_not_answer_is_told(llamacpp, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(StudyError, match=r"the package index did not answer\. Next: check the network"):
        install.install(llamacpp, VERSION)


def test_a_killed_install_is_made_again(llamacpp):
    home = install.home(llamacpp, VERSION)
    with subprocess.Popen([sys.executable, "-c", INSTALL], cwd=ROOT, stdout=subprocess.DEVNULL) as job:
        while not (home / "bin").exists():
            assert job.poll() is None
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
    assert cache.receipt(home) is None
    assert install.install(llamacpp, VERSION) == home
    assert cache.receipt(home) is not None


def test_an_environment_whose_python_is_gone_is_made_again(llamacpp):
    home = install.install(llamacpp, VERSION)
    (home / "bin" / "python").unlink()
    (home / "bin" / "python").symlink_to("/no/such/python")
    install.install(llamacpp, VERSION)
    assert subprocess.run([home / "bin" / "python", "-c", ""], check=False).returncode == 0


def test_the_receipt_is_plain_json_without_a_path_of_this_machine(llamacpp):
    home = install.install(llamacpp, VERSION)
    text = (home / cache.RECEIPT).read_text()
    assert str(home) not in text
    assert os.environ["SERVING_STUDY_CACHE"] not in json.dumps(json.loads(text))
