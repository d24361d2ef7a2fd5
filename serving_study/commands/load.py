"""Load any OpenAI-compatible URL and keep every byte with its time: no workflow, no study file."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from serving_study.load.schedule import SECOND, ramp_offsets, read_replay
from serving_study.load.stopping import stoppable
from serving_study.metrics.request import ERRORS
from serving_study.metrics.summary import Summary, summarised, table
from serving_study.serving.endpoint import Endpoint
from serving_study.serving.standalone import add_asking, shared_by_points, standalone, workload
from serving_study.study.errors import StudyError
from serving_study.study.types import Workload

ADVICE = {
    "refused": "is the server started, and are host and port right?",
    "deadline": "raise --deadline, or lower the load",
    "reset": "the server's log may say why",
    "closed": "the server's log may say why",
    "tls": "is it https there, and is the certificate trusted (SSL_CERT_FILE)?",
    "exhausted": "this machine ran out of open files or ports: raise ulimit -n, or use --connection pooled",
    "http-400": "what came back says why (the table, or examples in JSON): --model, --max-tokens and --body are asked as given",
    "http-401": "set the environment variable that --key names to the bearer key",
    "http-403": "is the bearer key the right one?",
    "http-404": "are --url, --api and --model right?",
    "http-429": "lower the load, or raise the server's limit",
    "http-5NN": "the server failed: its log, and what came back, may say why",
    "stream-error": "the server's log, and what came back, may say why",
    "html": "--url names a web site, not an API",
}
"""What to try for an error of a request."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where and how to ask, how much, and in which form to tell."""
    add_asking(parser)
    load = parser.add_mutually_exclusive_group(required=True)
    load.add_argument("--concurrency", help="closed loop: users; 1,2,4 measures a point each")
    load.add_argument("--rate", help="open loop: requests per second; 1,2,4 measures a point each")
    load.add_argument("--ramp-rates", help="open loop: RATE:SECONDS,... one after the other, as in 1:10,5:10,20:10")
    load.add_argument("--replay", type=Path, help="open loop: recorded arrival offsets in seconds, one a line")
    parser.add_argument("--arrivals", choices=("poisson", "constant"), default="poisson")
    parser.add_argument("--same-start", action="store_true", help="no nonce before prompts: prefix caches may hit")
    parser.add_argument("--ramp", type=float, default=0, help="seconds at the start that are sent but not measured")


def run(args: argparse.Namespace) -> int:
    """Measure each point; 1 when no request was answered, 130 or 143 when INT or TERM ended it (what was received is kept)."""
    with stoppable() as stop, suppress(KeyboardInterrupt):
        return _run(args)
    return stop.status


def _run(args: argparse.Namespace) -> int:
    asking = standalone(args)
    status = asking.measure(args.out, _workloads(args, asking.seed))
    if status and not (args.out / "cell.json").exists():
        print("interrupted before anything was measured", file=sys.stderr)
        return status
    found = summarised(args.out)
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else table(found))
    _say_errors(found, asking.endpoint)
    return status or int(sum(found["errors"].values()) == found["requests"])


def _workloads(args: argparse.Namespace, seed: int) -> dict[str, Workload]:
    """One for each step of the sweep; refused as a study file's would be."""
    shared = {**shared_by_points(args), "measure_cache": args.same_start, "ramp_s": args.ramp}
    try:
        if args.concurrency:
            return {f"c{c}": workload(concurrency=int(c), **shared) for c in args.concurrency.split(",")}
        if args.ramp_rates:
            args.replay = _drawn(args, seed)
            shared["requests"] = len(read_replay(args.replay))
        if args.replay:
            rate = _recorded_rate(args.replay, shared["requests"])
            name = "ramp" if args.ramp_rates else "replay"
            return {name: workload(rate=rate, arrivals="replay", replay=str(args.replay), **shared)}
        return {f"r{r}": workload(rate=float(r), arrivals=args.arrivals, **shared) for r in args.rate.split(",")}
    except (ValueError, OverflowError) as error:
        raise StudyError(
            f"--concurrency and --rate take numbers, as in 1,2,4, --ramp-rates as in 1:10,5:10 ({error})"
        ) from error


def _drawn(args: argparse.Namespace, seed: int) -> Path:
    """The arrivals of a ramp, drawn from the seed and stored beside what is measured."""
    steps = [
        (float(rate), float(seconds)) for rate, _, seconds in (s.partition(":") for s in args.ramp_rates.split(","))
    ]
    offsets = ramp_offsets(steps, args.arrivals, seed)
    file: Path = args.out / "arrivals.txt"
    file.write_text("".join(f"{offset / SECOND:.9f}\n" for offset in offsets), encoding="ascii")
    return file


def _recorded_rate(path: Path, n: int) -> float:
    """Mean rate of the first ``n`` recorded arrivals, so that they are replayed as they were."""
    recorded = sorted(read_replay(path))[: max(n, 2)]
    if len(recorded) < 2 or recorded[-1] <= recorded[0]:
        raise StudyError(f"{path}: a replay needs two arrivals or more, at different times")
    return (len(recorded) - 1) / (recorded[-1] - recorded[0])


def _say_errors(found: Summary, where: Endpoint) -> None:
    """One line an error, on stderr, with what to try."""
    for code, n in found["errors"].items():
        advice = ADVICE.get(code, ADVICE["http-5NN"] if code.startswith("http-5") else None)
        why = ERRORS[code] if code in ERRORS else _status(code)
        print(
            f"{where.base}: {n} of {found['requests']} requests: {code}: {why}" + (f"; {advice}" if advice else ""),
            file=sys.stderr,
        )


def _status(code: str) -> str:
    number = code.removeprefix("http-")
    name = next((f" {status.phrase}" for status in HTTPStatus if str(status.value) == number), "")
    return f"the server answered {number}{name}"
