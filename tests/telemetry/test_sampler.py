from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from serving_study.load.raw import TELEMETRY
from serving_study.telemetry import processes
from serving_study.telemetry.sampler import Sampler

MEGABYTE = 2**20
SPINS = "import time; end = time.monotonic() + 600\nwhile time.monotonic() < end: pass"


def counters(value: float) -> dict[str, float]:
    """Stands at module level: the sampler's process imports it by name."""
    return {"generated_tokens": value, "time": time.monotonic()}


def values(table, source: str, name: str, server: str = "") -> list[float]:
    match = (pc.field("source") == source) & (pc.field("name") == name) & (pc.field("server") == server)
    return table.filter(match)["value"].to_pylist()


@pytest.fixture
def program():
    """Start Python code in a process of its own and wait for its first line."""
    started = []

    def start(code: str) -> int:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


HOLDS = """
import os, subprocess, sys, time
held = bytearray(os.urandom(1)) * {bytes}
{child}
print("ready", flush=True)
time.sleep(600)
"""


def holds(megabytes: int, child: str = "") -> str:
    return HOLDS.format(bytes=megabytes * MEGABYTE, child=child)


def test_memory_is_that_of_the_whole_tree(program):
    inner = holds(60)
    child = f"p = subprocess.Popen([sys.executable, '-c', {inner!r}], stdout=subprocess.PIPE); p.stdout.readline()"
    alone, family = program(holds(30)), program(holds(30, child))
    assert len(processes.tree(family)) == 2
    grown = processes.tree_memory(family) - processes.tree_memory(alone)
    assert grown == pytest.approx(60 * MEGABYTE, rel=0.3)
    for pid in processes.tree(family)[1:]:
        os.kill(pid, signal.SIGKILL)


def test_memory_of_a_process_that_is_gone_is_nothing():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert processes.tree_memory(gone.pid) == 0
    assert processes.rss([gone.pid]) == 0
    assert processes.cpu_time([gone.pid]) == 0


def test_a_subtree_can_be_left_out(program):
    pid = program(holds(1))
    assert pid in processes.tree(os.getpid())
    assert pid not in processes.tree(os.getpid(), without=[pid])


def test_a_kernel_that_does_not_list_children_gives_the_same_tree(program, monkeypatch):
    program(holds(1))
    listed = processes.tree(os.getpid())
    monkeypatch.setattr(processes, "LISTS_CHILDREN", False)
    assert sorted(processes.tree(os.getpid())) == sorted(listed)


def test_processor_time_agrees_with_what_another_library_reads(program):
    pid = program("print('ready', flush=True)\n" + SPINS)
    time.sleep(0.5)
    times = psutil.Process(pid).cpu_times()
    assert processes.cpu_time([pid]) == pytest.approx(times.user + times.system, abs=0.1)


def test_readings_begin_before_the_measurement_and_name_servers_client_and_host(program):
    pid = program(holds(20))
    with Sampler({"one": pid}, {"one": partial(counters, 7.0)}, period_s=0.05) as sampler:
        begun = time.monotonic_ns()
        time.sleep(0.3)
    table = sampler.table
    assert table.schema.equals(TELEMETRY, check_metadata=True)
    times = table["time_ns"].to_pylist()
    assert times[0] < begun
    assert times == sorted(times)
    assert values(table, "process", "pss", "one")[0] > 20 * MEGABYTE
    assert values(table, "engine", "generated_tokens", "one")[0] == 7.0
    assert len(values(table, "process", "rss", "one")) >= 3
    assert {"busy", "stolen"} == {
        n.removeprefix("cpu_") for n in table["name"].to_pylist() if n.startswith("cpu_") and n != "cpu_time"
    }


def test_the_clients_processor_time_leaves_servers_and_the_reader_out(program):
    pid = program("print('ready', flush=True)\n" + SPINS)
    with Sampler({"one": pid}, {}, period_s=0.05) as sampler:
        time.sleep(0.6)
    server, client = (values(sampler.table, *what) for what in (("process", "cpu_time", "one"), ("client", "cpu_time")))
    assert server[-1] - server[0] > 5 * (client[-1] - client[0])


def test_an_engine_that_does_not_answer_leaves_the_other_readings_alone(program):
    pid = program(holds(1))
    with Sampler({"one": pid}, {"one": refuses}, period_s=0.05) as sampler:
        pass
    assert values(sampler.table, "engine", "generated_tokens", "one") == []
    assert values(sampler.table, "process", "rss", "one") != []


def refuses() -> dict[str, float]:
    import requests

    raise requests.ConnectionError


def test_the_file_holds_the_readings_and_its_hash_is_told(program, tmp_path):
    import hashlib

    with Sampler({"one": program(holds(1))}, {}) as sampler:
        pass
    digest = sampler.write(tmp_path / "telemetry.parquet")
    assert digest == hashlib.sha256((tmp_path / "telemetry.parquet").read_bytes()).hexdigest()
    assert pq.read_table(tmp_path / "telemetry.parquet").num_rows == sampler.table.num_rows


def test_reading_a_large_server_takes_little_of_one_core(program):
    """PSS of 400 MB costs the kernel about 6 ms: read every period it would take several hundredths of a core."""
    pid = program(holds(400))
    with Sampler({"one": pid}, {"one": partial(counters, 1.0)}) as sampler:
        time.sleep(6)
    spent = values(sampler.table, "client", "cpu_time", "reader")
    times = sampler.table.filter(pc.field("server") == "reader")["time_ns"].to_pylist()
    share = (spent[-1] - spent[0]) / ((times[-1] - times[0]) / 1e9)
    print(f"the reader takes {share:.2%} of one core")
    assert share < 0.03


def test_the_reader_ends_with_a_measuring_process_that_is_killed(tmp_path):
    code = f"""
import os, time
from pathlib import Path
from serving_study.telemetry.sampler import Sampler
with Sampler({{"one": os.getpid()}}, {{}}) as sampler:
    Path({str(tmp_path / "pid")!r}).write_text(str(sampler._process.pid))
    print("ready", flush=True)
    time.sleep(600)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root) as job:
        assert job.stdout is not None
        job.stdout.readline()
        reader = psutil.Process(int((tmp_path / "pid").read_text()))
        job.kill()
    end = time.monotonic() + 5
    while reader.is_running() and reader.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.02)
    assert not reader.is_running() or reader.status() == psutil.STATUS_ZOMBIE
