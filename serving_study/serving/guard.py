"""Stands between a job and one server, so that nothing is left however the job ends: ``python -I guard.py ...``.

The job is the parent of the guard, the guard of the server. The server leads a session of its own. When the job asks
(TERM), or dies (the kernel then sends TERM), the guard sends TERM to the server's whole process group, waits, and kills
what is left: the group, and every process that lost its parent on the way, since the guard adopts those. KILL of the
guard itself kills the server, too. Uses the standard library only and starts in a few hundredths of a second.

    guard.py JOB_PID GRACE_S READY_FD -- ARGV...

writes the server's pid to READY_FD and ends with the server's own status (128 + signal where one killed it).
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ORPHAN_GRACE_S = 2.0
"""Patience with a server whose job is gone: the next run may be about to start."""

LIBC = ctypes.CDLL(None)
WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


def main() -> int:
    """Start the server, then wait for its end or for a signal."""
    job, grace, ready = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    os.set_inheritable(ready, False)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != job:
        return 1
    server = start(sys.argv[5:])
    os.write(ready, b"%d" % server)
    os.close(ready)
    status = None
    while status is None:
        if signal.sigwait(WATCHED) == signal.SIGCHLD:
            status = reap(server)
        else:
            status = stop(server, grace if os.getppid() == job else min(grace, ORPHAN_GRACE_S), job)
    kill_rest(server)
    return status


def start(argv: list[str]) -> int:
    """Pid of the server, which leads its own session and dies with the guard."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            os.execvp(argv[0], argv)
    except OSError as problem:
        os.write(2, f"{argv[0]}: {problem.strerror}\n".encode())
    os._exit(127)


def reap(server: int) -> int | None:
    """Collect every child that ended; the server's status once it is among them."""
    status = None
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == server:
            code = os.waitstatus_to_exitcode(how)
            status = code if code >= 0 else 128 - code


def stop(server: int, grace: float, job: int) -> int | None:
    """TERM to the group, KILL after ``grace`` seconds, at once on a further signal, or when the job dies meanwhile."""
    send(server, signal.SIGTERM)
    end = time.monotonic() + grace
    while (left := end - time.monotonic()) > 0:
        heard = signal.sigtimedwait(WATCHED, left)
        if heard is not None and heard.si_signo != signal.SIGCHLD:
            end = min(end, time.monotonic() + (ORPHAN_GRACE_S if os.getppid() != job else 0))
        status = reap(server)
        if status is not None:
            return status
    send(server, signal.SIGKILL)
    status = None
    while status is None:
        signal.sigwait({signal.SIGCHLD})
        status = reap(server)
    return status


def send(group: int, number: int) -> None:
    """A signal to a process group that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def kill_rest(server: int) -> None:
    """Kill what the server left behind: its group, and processes that fell to the guard by losing their parent."""
    send(server, signal.SIGKILL)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        left = children()
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap(server)
        time.sleep(0.01)


def children() -> list[int]:
    """Pids of this process's children; none where the kernel does not list them (the group has been ended by then)."""
    try:
        # pathlib takes longer to import than the guard to start
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    sys.exit(main())
