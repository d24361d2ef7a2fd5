"""Find the most users, or the highest rate, with which a URL keeps a service level objective."""

from __future__ import annotations

import argparse
import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serving_study.files import write_json
from serving_study.load.search import highest_rate, highest_users
from serving_study.load.stopping import held, stoppable
from serving_study.metrics.bound import certain_share, needed
from serving_study.metrics.derive import derive
from serving_study.metrics.objectives import goodput, keeping
from serving_study.metrics.point import Judging
from serving_study.metrics.validity import fatal, judge
from serving_study.serving.standalone import Standalone, add_asking, shared_by_points, standalone, workload
from serving_study.study.errors import StudyError
from serving_study.study.types import Slo

MOST_USERS = 4096


@dataclass(frozen=True)
class Step:
    """One load that was tried."""

    load: float
    requests: int
    kept: int
    certain: float
    """Lower confidence bound of the share that keeps the objective."""
    goodput_per_s: float
    keeps: bool
    codes: dict[str, str]
    """Validity code to its reason. A load with a fatal one does not count as keeping: another load was measured."""
    folder: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where and how to ask, what to look for, and the objective."""
    add_asking(parser)
    parser.add_argument("--find", choices=("users", "rate"), required=True, help="closed or open loop (Poisson)")
    parser.add_argument("--first", type=float, default=1.0, help="rate to begin with")
    parser.add_argument("--most", type=float, required=True, help="load above which not to look")
    parser.add_argument("--step", type=float, default=1.1, help="rates closer than this factor are one")
    for name in ("ttft", "tpot", "e2e"):
        parser.add_argument(f"--{name}-ms", type=float, help="limit that a request must keep")
    parser.add_argument("--attainment", type=float, default=0.9, help="share of requests that must keep all limits")
    parser.add_argument("--level", type=float, default=0.95, help="confidence with which the share must be kept")


def run(args: argparse.Namespace) -> int:
    """Each load tried has its own folder below ``--out``; the answer so far is in ``search.json`` after each.

    1 when no load keeps the objective, 130 or 143 when INT or TERM ended it.
    """
    _check(args)
    search = _Search(args, standalone(args), _slo(args))
    with stoppable() as stop, suppress(KeyboardInterrupt):
        if args.find == "users":
            highest_users(search.keeps, int(args.most))
        else:
            highest_rate(search.keeps, min(args.first, args.most), args.most, args.step)
        search.finished = True
    found = search.write()
    print(json.dumps(found, indent=2) if args.json else _table(found, args))
    return search.status or stop.status or int(found["highest"] is None)


def _check(args: argparse.Namespace) -> None:
    users = args.find == "users"
    if users and not (args.most.is_integer() and 1 <= args.most <= MOST_USERS):
        raise StudyError(f"--most {args.most:g}: must be a number of users from 1 to {MOST_USERS}")
    for name, least in () if users else (("first", 0.0), ("most", 0.0), ("step", 1.0)):
        value = getattr(args, name)
        if not (math.isfinite(value) and value > least):
            raise StudyError(f"--{name} {value:g}: must be above {least:g}")
    workload(**_load(args, 1.0), **shared_by_points(args))


def _load(args: argparse.Namespace, load: float) -> dict[str, Any]:
    return {"concurrency": int(load)} if args.find == "users" else {"rate": load, "arrivals": "poisson"}


def _slo(args: argparse.Namespace) -> Slo:
    limits = {"ttft_ms": args.ttft_ms, "tpot_ms": args.tpot_ms, "e2e_ms": args.e2e_ms}
    if not any(limits.values()):
        raise StudyError("the objective has no limit: give --ttft-ms, --tpot-ms or --e2e-ms")
    try:
        slo = Slo(**limits, attainment=args.attainment)
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"--{first['loc'][0]} {first['input']}: {first['msg']}".replace("_", "-")) from error
    if not 0.5 <= args.level < 1 or slo.attainment >= 1:
        raise StudyError(
            "--level must lie in [0.5, 1) and --attainment below 1: no sample shows that all requests keep it"
        )
    if args.requests < (least := needed(slo.attainment, args.level)):
        raise StudyError(
            f"--requests {args.requests}: {least} or more can show that a share of {slo.attainment:g} is kept"
        )
    return slo


class _Search:
    """Tries loads and remembers what came of them."""

    def __init__(self, args: argparse.Namespace, asking: Standalone, slo: Slo) -> None:
        self.args, self.asking, self.slo = args, asking, slo
        self.steps: list[Step] = []
        self.finished = False
        self.status = 0

    def keeps(self, load: float) -> bool:
        """Measure one load and judge it."""
        args, number = self.args, len(self.steps)
        name = f"c{load:g}" if args.find == "users" else f"r{load:.4g}"
        folder: Path = args.out / f"{number:02d}-{name}"
        work = workload(**_load(args, load), **shared_by_points(args))
        self.status = self.asking.measure(folder, {name: work}, nonces_from=number * args.requests)
        if self.status:
            raise KeyboardInterrupt
        derived = derive(folder / "cell.json", Judging())
        points = derived.each
        n = sum(point.table.num_rows for point in points)
        kept = sum(keeping(point, self.slo) for point in points)
        certain = certain_share(kept, n, args.level)
        good = sum(goodput(point, self.slo).value or 0.0 for point in points)
        codes = {code: reason for point in points for code, reason in judge(point, derived.cell.codes).items()}
        keeps = certain >= self.slo.attainment and not _another_load(codes)
        with held():
            self.steps.append(Step(load, n, kept, certain, good, keeps, codes, str(folder)))
            self.write()
        return keeps

    def write(self) -> dict[str, Any]:
        """``search.json``: what has been found so far."""
        found = {
            "find": self.args.find,
            "finished": self.finished,
            "highest": max((step.load for step in self.steps if step.keeps), default=None),
            "steps": [asdict(step) for step in self.steps],
        }
        write_json(self.args.out / "search.json", found)
        return found


def _another_load(codes: dict[str, str]) -> bool:
    """Something else was measured than asked for; failed requests keep no objective and count as such."""
    return fatal({code: reason for code, reason in codes.items() if code != "ERRORS_OVER_LIMIT"})


def _table(found: dict[str, Any], args: argparse.Namespace) -> str:
    lines = [f"{args.find:>10}{'requests':>10}{'kept':>8}{'certain':>10}{'goodput/s':>12}"]
    for step in sorted(found["steps"], key=lambda step: step["load"]):
        row = f"{step['load']:>10.4g}{step['requests']:>10}{step['kept']:>8}{step['certain']:>10.3f}"
        judged = "keeps" if step["keeps"] else "not valid" if _another_load(step["codes"]) else "breaks"
        lines.append(f"{row}{step['goodput_per_s']:>12.3f}  {judged:10}{' '.join(step['codes'])}".rstrip())
    for code, reason in {code: reason for step in found["steps"] for code, reason in step["codes"].items()}.items():
        lines.append(f"{code}: {reason}")
    so_far = "" if found["finished"] else "interrupted; so far "
    highest = found["highest"]
    said = so_far + ("no load keeps the objective" if highest is None else f"highest: {highest:.4g} {args.find}")
    return "\n".join([*lines, f"{said} (share {args.attainment:g}, confidence {args.level:g})"])
