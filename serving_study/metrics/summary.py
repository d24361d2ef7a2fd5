"""A measured folder in one glance: the numbers of ``python -m serving_study metrics``, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving_study.load.record import Window
from serving_study.metrics.codes import CODES
from serving_study.metrics.derive import Derived
from serving_study.metrics.point import Column, Point
from serving_study.metrics.quantiles import LEAST, mean, quantile, sample
from serving_study.metrics.rates import output_throughput
from serving_study.metrics.validity import judge

_LATENCIES = ("ttft", "tpot", "inter_chunk", "e2e", "send_lag", "client_lag")

Summary = dict[str, Any]


def summary(derived: Derived) -> Summary:
    """Over all points of the folder, and each point by itself below ``points``."""
    points = derived.each
    each = [{"workload": p.workload, "model": p.model, **_over([p], derived.cell.codes)} for p in points]
    return {**_over(points, derived.cell.codes), "points": each}


def _over(points: Sequence[Point], job: dict[str, str]) -> Summary:
    windows = _windows(points)
    cpu = sum(w.client_cpu_s for w in windows)
    tokens = sum(int(p.flowing("output_tokens")[0].sum()) for p in points)
    errors = Counter(code for p in points for code in p.table["error"].to_pylist() if code is not None)
    return {
        **{f"{name}_ms": _latency(points, name) for name in _LATENCIES},
        "output_tokens_per_s": _throughput(points, windows),
        "requests": sum(p.table.num_rows for p in points),
        "errors": dict(sorted(errors.items())),
        "client_cpu_s": cpu,
        "tokens_per_client_cpu_s": tokens / cpu if cpu > 0 else None,
        "validity": {
            code: {"fatal": CODES[code].fatal if code in CODES else True, "reason": reason}
            for p in points
            for code, reason in judge(p, job).items()
        },
    }


def _latency(points: Sequence[Point], name: str) -> Summary:
    """n requests, percentiles where they suffice, and the mean, in ms."""
    samples = [sample(p, name) for p in points]
    values: Column = np.concatenate([v for v, _ in samples]) if samples else np.empty(0)
    n = sum(count for _, count in samples)
    enough = {p: len(values) > 0 and n >= least for p, least in LEAST.items()}
    percentiles = {f"p{p}": _ms(quantile(values, p)) if enough[p] else None for p in LEAST}
    return {"n": n, **percentiles, "mean": _ms(mean(values)) if len(values) else None}


def _ms(ns: float) -> float:
    return round(ns / 1e6, 6)


def _windows(points: Sequence[Point]) -> list[Window]:
    """Each window once: points that were loaded together share theirs."""
    return list({(w.workload, w.models): w for w in (p.window for p in points)}.values())


def _throughput(points: Sequence[Point], windows: Sequence[Window]) -> float | None:
    """Tokens inside the windows over their length; None when a point has none."""
    rates = [(output_throughput(p).value, p.seconds) for p in points]
    seconds = sum((w.ended_ns - w.measured_from_ns) / 1e9 for w in windows)
    if seconds <= 0 or any(rate is None for rate, _ in rates):
        return None
    return round(sum((rate or 0.0) * length for rate, length in rates) / seconds, 6)


def table(found: Summary) -> str:
    """The summary as a table for a terminal."""
    columns = ("n", "mean", *(f"p{p}" for p in LEAST))
    lines = [f"{'':14}" + "".join(f"{c:>12}" for c in columns)]
    for name in _LATENCIES:
        row = found[f"{name}_ms"]
        lines.append(f"{name + ' ms':14}" + "".join(f"{_cell(row[c]):>12}" for c in columns))
    failed = ", ".join(f"{n} {code}" for code, n in found["errors"].items()) or "none failed"
    needs = ", ".join(f"p{p} needs {least}" for p, least in LEAST.items())
    lines += [
        f"- too few requests or nothing to show ({needs})",
        "",
        f"{found['requests']} requests ({failed}), {_cell(found['output_tokens_per_s'])} output tokens/s",
        f"client: {_cell(found['client_cpu_s'])} s of processor time, {_cell(found['tokens_per_client_cpu_s'])} tokens a second of it",
    ]
    for code, judged in found["validity"].items():
        lines.append(f"{'INVALID' if judged['fatal'] else 'note'}: {code}: {judged['reason']}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
