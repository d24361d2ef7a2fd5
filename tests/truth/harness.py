"""Start the known-truth server, ask it, and read its log."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_study.load.payload import http_payload
from serving_study.load.schedule import SECOND, Planned

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Truth:
    """A running known-truth server."""

    port: int
    pid: int
    tls: bool = False

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def entries(self) -> list[dict[str, Any]]:
        """What the server did, of the requests ended since the last call."""
        context = ssl._create_unverified_context() if self.tls else None
        with urllib.request.urlopen(self.url + "/truth/log", context=context) as answer:
            entries: list[dict[str, Any]] = json.load(answer)
            return entries

    def log(self) -> dict[str, dict[str, Any]]:
        """Prompt to what the server did, of the requests ended since the last call."""
        return {entry["prompt"]: entry for entry in self.entries()}


@contextlib.contextmanager
def truth(*options: str, cores: Sequence[int] = ()) -> Iterator[Truth]:
    """A server of its own process, gone afterwards."""
    command = [sys.executable, "-m", "tests.truth.server", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if cores:
                os.sched_setaffinity(process.pid, cores)
            assert process.stdout is not None
            yield Truth(int(process.stdout.readline()), process.pid, "--tls" in options)
        finally:
            process.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def plan(port: int, n: int, *, model: str = "steady", concurrency: int | None = 1, **changes: Any) -> list[Planned]:
    """``n`` requests; the prompt of request i is ``q-i``, by which the log finds it."""
    offsets: list[int] | None = changes.pop("offsets", None)
    api = changes.pop("api", "/v1/chat/completions")
    host = changes.pop("host", "127.0.0.1")
    defaults: dict[str, Any] = {
        "workload": "w", "language": "en", "nonce": "", "server": "truth", "tls": False, "dialect": "openai-chat",
        "max_tokens": 8, "deadline_ns": 20 * SECOND, "connection": "fresh",
    }  # fmt: skip
    fields = defaults | changes
    planned = []
    for i in range(n):
        ask: dict[str, Any] = {"model": model, "stream": True, "max_tokens": fields["max_tokens"]}
        if (api.endswith("/completions") and "chat" not in api) or api == "/api/generate":
            ask["prompt"] = f"q-{i}"
        else:
            ask["messages"] = [{"role": "user", "content": f"q-{i}"}]
        planned.append(
            Planned(
                request=i,
                model=model,
                prompt=f"q-{i}",
                host=host,
                port=port,
                payload=http_payload(host, port, api, ask),
                user=-1 if concurrency is None else i % concurrency,
                offset_ns=None if offsets is None else offsets[i],
                **fields,
            )
        )
    return planned
