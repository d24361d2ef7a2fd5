"""A measured folder in one glance: the numbers of ``python -m serving_study metrics``, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving_study.load.record import Window
from serving_study.metrics.codes import CODES
from serving_study.metrics.derive import Derived, derive
from serving_study.metrics.examples import examples
from serving_study.metrics.point import Judging, Point
from serving_study.metrics.quantiles import LEAST, mean, quantile, sample
from serving_study.metrics.rates import output_throughput
from serving_study.metrics.steadiness import in_flight_mean
from serving_study.metrics.validity import judge

_LATENCIES = ("ttft", "tpot", "inter_chunk", "e2e", "send_lag", "client_lag")
_BUSY_SHARE = 0.5
"""Of the users of a closed loop, below which the load was hardly that of so many users."""
_UNKNOWN_LAG = (
    "how late the client read is not known, since the kernel cannot say it under TLS: "
    "`python -m benchmarks.calibration` shows the error to expect under such a load"
)

Summary = dict[str, Any]


def summarised(folder: Path) -> Summary:
    """The summary of a measured folder, and below ``examples`` what came back instead of an answer, one for each error."""
    derived = derive(folder / "cell.json", Judging())
    return {**summary(derived), "examples": examples(folder / "chunks.parquet", derived.metrics)}


def summary(derived: Derived) -> Summary:
    """Each point by itself below ``points``, and what they have in common.

    Points of several loads or models have no latency in common, and those of several windows no rate: null.
    """
    points, job = derived.each, derived.cell.codes
    each = [{"workload": p.workload, "model": p.model, **_over([p], job)} for p in points]
    return {**_over(points, job), "notes": _notes(points), "points": each}


def _over(points: Sequence[Point], job: dict[str, str]) -> Summary:
    windows = _windows(points)
    errors = Counter(code for p in points for code in p.table["error"].to_pylist() if code is not None)
    return {
        **{f"{name}_ms": _latency(points, name) for name in _LATENCIES},
        "output_tokens_per_s": _throughput(points, windows),
        "requests": sum(p.table.num_rows for p in points),
        "errors": dict(sorted(errors.items())),
        "client_cpu_s": sum(w.client_cpu_s for w in windows),
        "tokens_per_client_cpu_s": _tokens_per_cpu_s(points, windows),
        "validity": _validity(points, job),
    }


def _latency(points: Sequence[Point], name: str) -> Summary:
    """n requests, percentiles where they suffice, and the mean, in ms; of several points n alone."""
    samples = [sample(p, name) for p in points]
    n = sum(count for _, count in samples)
    if len(samples) != 1 or not len(samples[0][0]):
        return {"n": n, **{f"p{p}": None for p in LEAST}, "mean": None}
    values = samples[0][0]
    percentiles = {f"p{p}": _ms(quantile(values, p)) if n >= least else None for p, least in LEAST.items()}
    return {"n": n, **percentiles, "mean": _ms(mean(values))}


def _ms(ns: float) -> float:
    return round(ns / 1e6, 6)


def _windows(points: Sequence[Point]) -> list[Window]:
    """Each window once: points that were loaded together share theirs."""
    return list({(w.workload, w.models): w for w in (p.window for p in points)}.values())


def _throughput(points: Sequence[Point], windows: Sequence[Window]) -> float | None:
    """Tokens inside the one window over its length; None when a point has none."""
    rates = [output_throughput(p).value for p in points]
    if len(windows) != 1 or None in rates:
        return None
    return round(sum(rate or 0.0 for rate in rates), 6)


def _tokens_per_cpu_s(points: Sequence[Point], windows: Sequence[Window]) -> float | None:
    """Tokens of the one window over the client's processor time in it; None where a server does not say how many."""
    if len(windows) != 1 or {p.model for p in points} != set(windows[0].models) or windows[0].client_cpu_s <= 0:
        return None
    tokens = [p.flowing("output_tokens")[0] for p in points]
    if any(len(known) < len(p.flowing("chunks")[0]) for known, p in zip(tokens, points, strict=True)):
        return None
    return sum(int(known.sum()) for known in tokens) / windows[0].client_cpu_s


def _validity(points: Sequence[Point], job: dict[str, str]) -> Summary:
    """Code to its reasons; of several points each says whose it is."""
    found: dict[str, list[str]] = {}
    for p in points:
        for code, reason in judge(p, job).items():
            whose = "" if len(points) == 1 or code in job else f"{p.workload}/{p.model}: "
            found.setdefault(code, []).append(whose + reason)
    return {
        code: {"fatal": CODES[code].fatal if code in CODES else True, "reason": "; ".join(dict.fromkeys(reasons))}
        for code, reasons in found.items()
    }


def _notes(points: Sequence[Point]) -> list[str]:
    """What a reader should know and no code says."""
    notes = []
    for window in _windows(points):
        mine = [p for p in points if p.window is window]
        users, busy = window.concurrency, sum(in_flight_mean(p).value or 0.0 for p in mine)
        answered = all(p.table["error"].null_count == p.table.num_rows for p in mine)
        if users and answered and busy < _BUSY_SHARE * users:
            notes.append(
                f"{window.workload}: {busy:.1f} of {users} users had a request under way on average: ask for more requests, "
                "so that all users are busy until near the end"
            )
    if any(len(p.answered("ttft")) and not len(p.measured("client_lag")) for p in points):
        notes.append(_UNKNOWN_LAG)
    return notes


def table(found: Summary) -> str:
    """The summary as a table for a terminal, a block for each point."""
    points, lines = found["points"], list[str]()
    if len(points) == 1:
        lines += _block(found)
    for point in points if len(points) > 1 else ():
        lines += [f"{point['workload']}, {point['model']}", *_block(point), ""]
    if len(points) > 1:
        lines.append(f"in all {_requests(found)}; client: {_cell(found['client_cpu_s'])} s of processor time")
    lines += [f"{code}, one of them: {said}" for code, said in found.get("examples", {}).items()]
    lines += [f"note: {note}" for note in found["notes"]]
    needs = ", ".join(f"p{p} needs {least}" for p, least in LEAST.items())
    return "\n".join([*lines, f"- too few requests or nothing to show ({needs})"])


def _block(found: Summary) -> list[str]:
    columns = ("n", "mean", *(f"p{p}" for p in LEAST))
    lines = [f"{'':14}" + "".join(f"{c:>12}" for c in columns)]
    for name in _LATENCIES:
        row = found[f"{name}_ms"]
        lines.append(f"{name + ' ms':14}" + "".join(f"{_cell(row[c]):>12}" for c in columns))
    lines += [
        f"{_requests(found)}, {_cell(found['output_tokens_per_s'])} output tokens/s",
        f"client: {_cell(found['client_cpu_s'])} s of processor time, {_cell(found['tokens_per_client_cpu_s'])} tokens a second of it",
    ]
    for code, judged in found["validity"].items():
        lines.append(f"{'INVALID' if judged['fatal'] else 'note'}: {code}: {judged['reason']}")
    return lines


def _requests(found: Summary) -> str:
    failed = ", ".join(f"{n} {code}" for code, n in found["errors"].items()) or "none failed"
    return f"{found['requests']} requests ({failed})"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
