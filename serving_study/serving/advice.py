"""What to tell about a server that failed: which one, its last words, and what to try."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from serving_study.engines.base import Server

SHOWN = 12
SEARCHED = 80
"""Lines at the end of a log that are looked at for a cause: it often stands before a long trace."""

REMEDIES = (
    (r"out of memory|OutOfMemory|bad_alloc|failed to allocate|Cannot allocate memory",
     "it wanted more memory than there is: lower slots, context or memory_share, or leave a model out"),
    (r"not within the file bounds|file is truncated|corrupted or incomplete|invalid magic|failed to read header",
     "the model file is damaged, or of a kind that this engine does not read: delete its folder in the cache"),
    (r"[Aa]ddress already in use|couldn't bind|EADDRINUSE",
     "another process took its port meanwhile: give the deployment another port"),
    (r"No such file or directory|failed to open|cannot open",
     "a file is missing: run the install step again (its cache entry may have been deleted)"),
    (r"unrecognized arguments|unknown argument|invalid argument|has no setting|does not take",
     "it refused a setting: compare deployments.NAME.options with this version's documentation"),
    (r"Illegal instruction", "this processor lacks instructions that the engine was built for"),
    (r"no kernel image|CUDA error|no CUDA-capable device|NVIDIA driver",
     "the accelerator or its driver does not fit this build: compare nvidia-smi with the engine's requirements"),
    (r"ModuleNotFoundError|ImportError", "its environment is damaged: delete the engine's folder in the cache"),
)  # fmt: skip


def died(name: str, server: Server, status: int | None, when: str) -> str:
    """The message for a server that is gone; ``status`` is its exit status, 128 + signal where one killed it."""
    return f"server {name} (process {server.pid}) {_ended(status)} {when}. {_words(server, _signal(status))}"


def not_ready(name: str, server: Server, why: str) -> str:
    """The message for a server that does not answer as it should."""
    told = f"server {name} ({server.url}) was not ready after {server.spec.start_timeout_s:g} s: {why}"
    if server.spec.external:
        return f"{told}. Next: start it, or mend deployments.NAME.urls; the study does not start external servers"
    return f"{told}. {_words(server, None)}"


def _ended(status: int | None) -> str:
    number = _signal(status)
    if number is not None:
        return f"was killed by {number.name}"
    return "ended" if status is None else f"ended with status {status}"


def _signal(status: int | None) -> signal.Signals | None:
    if status is None:
        return None
    try:
        return signal.Signals(-status if status < 0 else status - 128)
    except ValueError:
        return None


def _words(server: Server, number: signal.Signals | None) -> str:
    lines = tail(server.log, SEARCHED) if server.log else []
    said = "\n".join(f"  | {line}" for line in lines[-SHOWN:])
    return f"Next: {_remedy(lines, number)}.\n{server.log or 'no log'} ends with:\n{said or '  | (nothing)'}"


def _remedy(lines: list[str], number: signal.Signals | None) -> str:
    said = "\n".join(lines)
    for pattern, remedy in REMEDIES:
        if re.search(pattern, said):
            return remedy
    if number == signal.SIGKILL:
        return "if nobody killed it, the kernel did for want of memory (dmesg tells): lower slots or context"
    if number == signal.SIGILL:
        return "this processor lacks instructions that the engine was built for"
    return "read the whole log, and start the command of deploy.json by hand"


def tail(path: Path, count: int) -> list[str]:
    """The last lines of a log that may be large and need not be text."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 400 * count))
        return file.read().decode("utf-8", errors="replace").splitlines()[-count:]
