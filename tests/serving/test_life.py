from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from serving_study.engines.base import ServerSpec
from serving_study.serving import ports
from serving_study.serving.life import environment, life
from serving_study.study.errors import StudyError
from tests.serving import servers

ROOT = Path(__file__).parents[2]
AFTER_S = 5.0


def test_a_server_lives_inside_the_context_and_nothing_is_left_of_it(tmp_path):
    before = set(psutil.Process().children(recursive=True))
    with life([servers.spec(servers.LISTEN)], tmp_path, servers.listens) as alive:
        below = [p for p in psutil.Process().children(recursive=True) if p not in before]
        alive.check()
        assert alive.servers["server"].pid in {p.pid for p in below}
        assert alive.ready_after_ns["server"] > 0
    assert servers.still_there(below, 0) == []
    assert "serving" in (tmp_path / "server.log").read_text()


def test_a_server_leads_a_session_of_its_own(tmp_path):
    with life([servers.spec(servers.LISTEN)], tmp_path, servers.listens) as alive:
        pid = alive.servers["server"].pid
        assert pid is not None
        assert os.getsid(pid) == os.getpgid(pid) == pid


def test_a_server_that_dies_before_it_is_ready_is_named_with_its_last_words_and_advice(tmp_path):
    with pytest.raises(StudyError) as told, life([servers.spec(servers.BROKEN, "broken")], tmp_path, servers.listens):
        pytest.fail("it never was ready")
    message = str(told.value)
    assert "server broken" in message
    assert "before it was ready" in message
    assert "CUDA error: out of memory" in message
    assert "lower slots, context or memory_share" in message


def test_the_servers_that_stand_are_stopped_when_a_later_one_does_not_start(tmp_path):
    seen: list[psutil.Process] = []

    def ready(server):
        servers.listens(server)
        seen.extend(servers.tree(server.pid))

    with (
        pytest.raises(StudyError, match="server second"),
        life([servers.spec(servers.LISTEN, "first"), servers.spec(servers.BROKEN, "second")], tmp_path, ready),
    ):
        pytest.fail("the second never was ready")
    assert len(seen) == 1
    assert servers.still_there(seen, 0) == []


def test_a_program_that_is_not_there_is_told(tmp_path):
    spec = ServerSpec("gone", ("m",), ports.free(), ("/no/such/program",))
    with (
        pytest.raises(StudyError, match=r"server gone .*ended with status 127"),
        life([spec], tmp_path, servers.listens),
    ):
        pass


def test_a_server_that_dies_while_it_is_in_use_fails_the_job_after_measuring(tmp_path):
    with (
        pytest.raises(StudyError, match=r"was killed by SIGKILL while it was in use"),
        life([servers.spec(servers.LISTEN)], tmp_path, servers.listens) as alive,
    ):
        process = psutil.Process(alive.servers["server"].pid)
        process.kill()
        assert servers.still_there([process], AFTER_S) == []


def test_an_error_of_the_measurement_is_explained_by_the_server_that_died(tmp_path):
    with (
        pytest.raises(StudyError, match=r"killed by SIGSEGV while it was in use") as told,
        life([servers.spec(servers.LISTEN)], tmp_path, servers.listens) as alive,
    ):
        os.kill(alive.servers["server"].pid, signal.SIGSEGV)
        raise ConnectionResetError("the measurement's own trouble")
    assert isinstance(told.value.__context__, ConnectionResetError)


def test_an_error_of_the_measurement_stays_itself_when_the_server_is_well(tmp_path):
    with pytest.raises(ZeroDivisionError), life([servers.spec(servers.LISTEN)], tmp_path, servers.listens):
        _ = 1 / 0


def test_a_server_that_ignores_term_is_killed_after_its_grace(tmp_path):
    spec = servers.spec(servers.DEAF, stop_timeout_s=0.3)
    with life([spec], tmp_path, servers.listens) as alive:
        process = psutil.Process(alive.servers["server"].pid)
    assert servers.still_there([process], 0) == []


def test_a_child_that_left_the_servers_session_is_found_and_ended(tmp_path):
    with life([servers.spec(servers.PARENT)], tmp_path, servers.listens) as alive:
        family = servers.tree(alive.servers["server"].pid)
        assert len(family) == 2
    assert servers.still_there(family, 0) == []


def test_a_server_that_is_never_ready_is_told_with_the_reason_and_stopped(tmp_path):
    spec = servers.spec("import time; print('compiling', flush=True); time.sleep(600)", start_timeout_s=0.5)
    with (
        pytest.raises(StudyError, match=r"was not ready after 0.5 s: does not listen(?s:.*)compiling"),
        life([spec], tmp_path, servers.listens),
    ):
        pytest.fail("it never was ready")


def test_a_port_that_is_taken_is_told_before_anything_starts_with_the_process_that_holds_it(tmp_path):
    spec = servers.spec(servers.LISTEN)
    with socket.socket() as other:
        other.bind(("127.0.0.1", spec.port))
        other.listen()
        with (
            pytest.raises(StudyError, match=rf"port {spec.port} is taken by process {os.getpid()} "),
            life([servers.spec(servers.LISTEN, "first"), spec], tmp_path, servers.listens),
        ):
            pytest.fail("the port was taken")
    assert list(tmp_path.iterdir()) == []


def test_an_external_server_is_neither_started_nor_stopped(tmp_path):
    ours = servers.spec(servers.LISTEN)
    with subprocess.Popen(ours.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        outside = ServerSpec("outside", ("m",), ours.port, (), url=f"http://127.0.0.1:{ours.port}", start_timeout_s=30)
        asked = []
        with life([outside], tmp_path, asked.append) as alive:
            assert alive.servers["outside"].pid is None
            assert asked == [alive.servers["outside"]]
        assert other.poll() is None
        other.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_server_sees_the_studys_environment_and_not_this_shells(monkeypatch):
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "7")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = environment(ServerSpec("s", ("m",), 1024, (), {"OLLAMA_HOST": "127.0.0.1"}))
    assert seen["OLLAMA_HOST"] == "127.0.0.1"
    assert "PATH" in seen
    assert not {"OLLAMA_NUM_PARALLEL", "OPENAI_API_KEY"} & set(seen)


@pytest.fixture
def job(tmp_path):
    """A job in its own process, under a parent of its own; ``parent, job, everything below the job``."""
    started = []

    def start(*kinds: str) -> tuple[subprocess.Popen[bytes], psutil.Process, list[psutil.Process]]:
        command = f"{sys.executable} -m tests.serving.job {tmp_path} {' '.join(kinds)} & echo $! > {tmp_path}/job; wait"
        parent = subprocess.Popen(["bash", "-c", command], cwd=ROOT, stderr=subprocess.DEVNULL)
        started.append(parent)
        while not (tmp_path / "pids").exists():
            assert parent.poll() is None, "the job ended early"
            time.sleep(0.05)
        below = [psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split()]
        return parent, psutil.Process(int((tmp_path / "job").read_text())), below

    yield start
    for parent in started:
        parent.kill()
        parent.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_the_job_gets(job, number):
    _, process, below = job("LISTEN", "DEAF", "PARENT", "DEAF")
    assert len(below) == 9  # four guards, four servers, a child of one
    process.send_signal(number)
    assert servers.still_there([process, *below], AFTER_S) == []


def test_nothing_is_left_when_the_jobs_parent_is_killed(job):
    parent, process, below = job("DEAF", "PARENT")
    parent.kill()
    assert servers.still_there([process, *below], AFTER_S) == []


def test_nothing_is_left_when_the_guards_are_killed(job):
    _, process, below = job("LISTEN", "DEAF")
    guards = [p for p in below if p.ppid() == process.pid]
    for guard in guards:
        guard.kill()
    assert servers.still_there(below, AFTER_S) == []
    process.terminate()


def test_a_second_signal_does_not_cut_the_stopping_short(job):
    _, process, below = job("DEAF")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert servers.still_there([process, *below], AFTER_S) == []
