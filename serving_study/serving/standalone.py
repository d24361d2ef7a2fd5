"""Measure a server that somebody else runs, without a study: points, raw files and ``cell.json`` in one folder."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serving_study.files import write_json
from serving_study.load.meter import Meter
from serving_study.load.payload import KEY_VARIABLE, key_from_environment
from serving_study.load.point import run_point
from serving_study.load.prompts import read_prompts
from serving_study.load.record import Cell, Clock, Window
from serving_study.load.recording import Interrupted, Recording
from serving_study.load.stopping import held, stoppable
from serving_study.load.write import RawWriter
from serving_study.serving.deployment import Target
from serving_study.serving.endpoint import PATHS, Endpoint, endpoint
from serving_study.serving.questions import Draw, point_requests
from serving_study.study.errors import StudyError
from serving_study.study.prompts import Prompt
from serving_study.study.types import Workload
from serving_study.telemetry.host import clock, host
from serving_study.telemetry.trouble import clock_step

SEEDS = 1 << 30
"""Each request adds its number, and servers take seeds of 32 bits."""
PROMPTS = Path(__file__).parents[2] / "config" / "prompts"


@dataclass(frozen=True)
class Standalone:
    """Where to ask, what, and how."""

    endpoint: Endpoint
    models: Sequence[str]
    prompts: Sequence[Prompt]
    language: str
    seed: int
    key: str | None
    workers: int = 1
    body: Mapping[str, Any] = field(default_factory=dict)
    """More for the body of each request."""

    def measure(self, folder: Path, works: Mapping[str, Workload], nonces_from: int = 0) -> int:
        """Measure each point into ``folder``. Returns 0, or what to exit with when INT or TERM ended it.

        Whatever ends it, the points before and what was received until then are written.
        """
        cell_file = folder / "cell.json"
        cell_file.unlink(missing_ok=True)
        began, writer, windows = clock(), RawWriter(folder), list[Window]()
        with stoppable() as stop, suppress(KeyboardInterrupt):
            try:
                for name, work in works.items():
                    self._point(name, work, writer, windows, nonces_from)
            finally:
                with held():
                    files = writer.close()
                    if windows:
                        write_json(cell_file, self._cell(began, works, windows, files).model_dump(mode="json"))
                    else:
                        writer.remove()
        return stop.status

    def _point(self, name: str, work: Workload, writer: RawWriter, windows: list[Window], nonces_from: int) -> None:
        """Measure one point and append it; an interrupted one, too."""
        targets = {m: Target("external", self.endpoint.base, self.endpoint.ask(m, self.body)) for m in self.models}
        first = sum(window.asked for window in windows)
        draw = Draw(self.seed, self.language, 0, nonces_from + first)
        planned = point_requests(name, work, targets, self.prompts, draw, first)
        meter = Meter(name)
        interrupted = False
        try:
            recording = run_point(
                planned, concurrency=work.concurrency, progress=meter, workers=self.workers, key=self.key
            )
        except Interrupted as stopped:
            recording, interrupted = stopped.recording, True
        with held():
            meter.done(recording.outcomes())
            writer.add(recording)
            windows.append(_window(name, work, tuple(targets), recording))
        if interrupted:
            raise KeyboardInterrupt

    def _cell(
        self, began: Clock, works: Mapping[str, Workload], windows: Sequence[Window], files: dict[str, str]
    ) -> Cell:
        ended = clock()
        step = clock_step(began, ended)
        plan = {"seed": self.seed, "workloads": {name: work.model_dump(mode="json") for name, work in works.items()}}
        return Cell(
            study="load",
            deployment="external",
            language=self.language,
            replicate=0,
            life=uuid.uuid4().hex,
            plan=plan,
            prompts_sha256="",
            code="",
            commit=None,
            command=("python", "-m", "serving_study", *sys.argv[1:]),
            servers={},
            host=host(),
            clock_start=began,
            clock_end=ended,
            warmup_requests={},
            windows=tuple(windows),
            codes={} if step is None else {"CLOCK_STEP": step},
            files=files,
        )


def add_asking(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that asks a URL."""
    parser.add_argument("--url", required=True, help="the server, its /v1, or the whole URL of the API")
    parser.add_argument("--model", required=True, action="append", help="name to ask for; several times: a mix")
    parser.add_argument("--api", choices=PATHS, default="chat")
    parser.add_argument("--out", type=Path, required=True, help="folder for the raw files")
    parser.add_argument("--requests", type=int, required=True, help="requests of each point")
    parser.add_argument("--max-tokens", type=int, default=128)
    prompts = parser.add_mutually_exclusive_group()
    prompts.add_argument("--prompts", type=Path, help="JSONL: strings, or objects with text, prompt or messages")
    prompts.add_argument("--input-tokens", type=int, help="made prompts of about so many tokens")
    parser.add_argument("--language", default="en", help="of the project's prompts, where no others are given")
    parser.add_argument("--body", default="{}", help='more for each body, e.g. {"ignore_eos": true}')
    parser.add_argument("--connection", choices=("fresh", "pooled"), default="fresh")
    parser.add_argument("--deadline", type=float, default=120, help="seconds that a request may take")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the schedule")
    parser.add_argument("--seed", type=int, help="of prompts, nonces and arrivals; without it each run draws its own")
    parser.add_argument("--key", default=KEY_VARIABLE, help="environment variable that holds the bearer key")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout instead of a table")


def standalone(args: argparse.Namespace) -> Standalone:
    """What the arguments ask for, with a seed of its own unless one is given. Raises StudyError where they are wrong."""
    seed = secrets.randbelow(SEEDS) if args.seed is None else args.seed
    if args.workers < 1:
        raise StudyError(f"--workers {args.workers}: must be at least 1")
    asking = Standalone(
        endpoint=endpoint(args.url, args.api),
        models=args.model,
        prompts=read_prompts(args.prompts or PROMPTS / f"{args.language}.jsonl"),
        language=args.language,
        seed=seed,
        key=key_from_environment(args.key),
        workers=args.workers,
        body=_body(args.body),
    )
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"--out {args.out}: must be a folder that can be written ({error.strerror})") from error
    print(f"seed {seed}: --seed {seed} asks the same again", file=sys.stderr)
    return asking


def _body(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StudyError(f"--body {text[:60]}: is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise StudyError(f'--body {text[:60]}: must be a JSON object, e.g. {{"ignore_eos": true}}')
    return found


def workload(**asked: Any) -> Workload:
    """A workload of the command line. Raises StudyError where a study file's would be refused, naming the option."""
    try:
        return Workload(**asked)
    except ValidationError as error:
        first = error.errors()[0]
        option = "-".join(map(str, first["loc"])).removesuffix("_s").replace("_", "-")
        raise StudyError(f"--{option} {first['input']}: {first['msg']}") from error


def shared_by_points(args: argparse.Namespace) -> dict[str, Any]:
    """What all points of the command have in common, as fields of a workload."""
    return {
        "requests": args.requests,
        "max_tokens": args.max_tokens,
        "input_tokens": args.input_tokens,
        "lengths": ("short", "long"),
        "together": len(args.model) > 1,
        "connection": args.connection,
        "deadline_s": args.deadline,
    }


def _window(name: str, work: Workload, models: tuple[str, ...], recording: Recording) -> Window:
    return Window(
        workload=name,
        models=models,
        started_ns=recording.started_ns,
        measured_from_ns=recording.started_ns + int(work.ramp_s * 1e9),
        ended_ns=recording.ended_ns,
        concurrency=work.concurrency,
        rate=work.rate,
        asked=len(recording.planned),
        counters_before={},
        counters_after={},
        client_cpu_s=recording.client_cpu_s,
    )
