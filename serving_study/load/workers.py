"""Several recorders that share one schedule and one clock, each a process pinned to a processor of its own."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import signal
from array import array
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from serving_study.load.clock import now
from serving_study.load.recorder import LEAD_NS, Progress, Recorder
from serving_study.load.recording import BLOCK, Interrupted, Part, Recording
from serving_study.load.schedule import Planned
from serving_study.load.stopping import ENDING, held, stoppable
from serving_study.load.transport import Addresses, secured
from serving_study.study.errors import StudyError

TIMES = ("intended", "connect", "connected", "sent", "ended")
ROWS = ("owner", "received_ns", "kernel_ns", "block", "begin", "end")
_PR_SET_PDEATHSIG = 1


def run_workers(
    planned: Sequence[Planned], workers: int, addresses: Addresses, progress: Progress | None, key: str | None
) -> Recording:
    """As ``run_point``, by ``workers`` processes: users, or arrivals, are dealt out in turn."""
    recording = Recording.of(planned)
    context = multiprocessing.get_context("spawn")
    processors = sorted(os.sched_getaffinity(0))
    ensure_running()  # it would let signals through where they are held
    with ExitStack() as stack:
        lines: list[Connection] = []
        processes = []
        for number, positions in enumerate(_dealt(planned, workers)):
            ours, theirs = context.Pipe()
            processor = processors[number % len(processors)]
            arguments = (theirs, number, processor, planned, positions, addresses, key)
            process = context.Process(target=_work, args=arguments, daemon=True)
            with held():
                process.start()
                theirs.close()
                stack.callback(_stop, process)
                stack.enter_context(ours)
            lines.append(ours)
            processes.append(process)
        interrupted = _gather(recording, lines, processes, progress)
    recording.started_ns = min(recording.intended, default=now())
    if interrupted:
        raise Interrupted(recording)
    return recording


def _dealt(planned: Sequence[Planned], workers: int) -> list[list[int]]:
    """Positions of each worker: a user's requests stay together."""
    ranks = {user: rank for rank, user in enumerate(sorted({each.user for each in planned}))}
    hands: list[list[int]] = [[] for _ in range(workers)]
    for position, each in enumerate(planned):
        turn = position if each.offset_ns is not None else ranks[each.user]
        hands[turn % workers].append(position)
    return hands


def _stop(process: Any) -> None:
    process.join(5)
    if process.is_alive():
        process.kill()


def _gather(
    recording: Recording, lines: Sequence[Connection], processes: Sequence[Any], progress: Progress | None
) -> bool:
    """Start all at one instant, follow them, and take in what they recorded; True when one was interrupted."""
    done = dict.fromkeys(range(len(lines)), 0)
    interrupted, waiting, ready = False, list(lines), 0
    while waiting:
        try:
            arrived = wait(waiting)
            with held():
                for line in arrived:
                    assert isinstance(line, Connection)
                    said, content = line.recv()
                    if said == "ready":
                        ready += 1
                        if ready == len(lines):
                            start = now() + LEAD_NS
                            for each in lines:
                                each.send(start)
                    elif said == "done":
                        done[lines.index(line)] = content
                        if progress is not None:
                            progress(sum(done.values()), len(recording.planned))
                    else:
                        interrupted = _take(recording, content, line) or interrupted
                        waiting.remove(line)
        except (EOFError, ConnectionError):
            if interrupted:  # before it had begun
                raise KeyboardInterrupt from None
            raise StudyError("a worker of the load generator died while measuring; measure the cell again") from None
        except KeyboardInterrupt:
            interrupted = True
            for process in processes:  # each sends what it has
                process.terminate()
    return interrupted


def _take(recording: Recording, content: dict[str, Any], line: Connection) -> bool:
    positions: list[int] = content["positions"]
    for name in TIMES:
        times: array[int] = getattr(recording, name)
        for position, value in zip(positions, content[name], strict=True):
            times[position] = value
    for position, outcome, connection in zip(positions, content["outcome"], content["connection"], strict=True):
        recording.outcome[position] = outcome
        recording.connection[position] = connection
        recording.worker[position] = content["worker"]
    blocks = []
    for _ in range(content["blocks"]):
        block = mmap.mmap(-1, BLOCK)
        line.recv_bytes_into(block)
        blocks.append(block)
    recording.parts.append(Part(**content["rows"], blocks=blocks))
    recording.client_cpu_s += content["client_cpu_s"]
    return bool(content["interrupted"])


def _work(
    line: Connection,
    number: int,
    processor: int,
    planned: Sequence[Planned],
    positions: list[int],
    addresses: Addresses,
    key: str | None,
) -> None:
    """One worker: record its positions, then send them block by block. It is stopped by TERM; INT is its parent's."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, {processor})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a parent that went away in the middle wants nothing more
    with suppress(EOFError, ConnectionError, KeyboardInterrupt), stoppable():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        _record(line, number, planned, positions, addresses, key)


def _record(
    line: Connection,
    number: int,
    planned: Sequence[Planned],
    positions: list[int],
    addresses: Addresses,
    key: str | None,
) -> None:
    def start() -> int:
        line.send(("ready", None))
        at: int = line.recv()
        return at

    recording = Recording.of(planned, number)
    recorder = Recorder(recording, positions, secured(addresses), key, lambda done, _: line.send(("done", done)))
    interrupted = False
    try:
        recorder.run(start)
    except Interrupted:
        interrupted = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _send(line, recording, positions, number, interrupted)


def _send(line: Connection, recording: Recording, positions: list[int], number: int, interrupted: bool) -> None:
    part = recording.parts[0]
    content: dict[str, Any] = {"positions": positions, "worker": number, "interrupted": interrupted}
    for name in (*TIMES, "outcome", "connection"):
        values = getattr(recording, name)
        content[name] = [values[position] for position in positions]
    content |= {
        "client_cpu_s": recording.client_cpu_s,
        "rows": {name: getattr(part, name) for name in ROWS},
        "blocks": len(part.blocks),
    }
    line.send(("recorded", content))
    for block in part.blocks:
        line.send_bytes(block)
