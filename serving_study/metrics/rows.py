"""Points and the rows that they make in ``points.parquet``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serving_study.load.record import Cell
from serving_study.metrics.flow import Flow, Key
from serving_study.metrics.point import Judging, Point, Readings
from serving_study.metrics.registry import POINT, Metric, Value
from serving_study.metrics.resources import Life
from serving_study.metrics.validity import fatal, judge
from serving_study.study.types import Workload

_DIGITS = 12
"""Significant digits of a value: processors differ beyond them."""

Row = dict[str, Any]


def points(
    cell: Cell, metrics: pa.Table, gathered: Mapping[Key, Flow], readings: tuple[Readings, ...], judging: Judging
) -> Iterator[Point]:
    """The points of a cell by name."""
    windows = {(w.workload, m): w for w in cell.windows for m in w.models}
    asked = _asked(metrics)
    for workload, model in sorted(windows):
        others = [(workload, m) for m in windows[workload, model].models if m != model]
        of_model = metrics.filter(pc.equal(metrics["model"], pa.scalar(model)))
        table = of_model.filter(pc.equal(of_model["workload"], pa.scalar(workload)))
        flow = gathered[workload, model]
        yield Point(
            workload=workload,
            model=model,
            window=windows[workload, model],
            spec=_workload(cell, workload),
            template_tokens=cell.plan.get("models", {}).get(model, {}).get("template_tokens"),
            table=table,
            model_table=of_model,
            gaps=flow.gaps(),
            gap_requests=flow.gap_requests,
            flow=flow.tokens(),
            servers=tuple(sorted(asked.get((workload, model), Counter()))),
            alone=not any(
                asked.get((workload, model), Counter()).keys() & asked.get(o, Counter()).keys() for o in others
            ),
            recorded=sum(asked.get(key, Counter()).total() for key in [(workload, model), *others]),
            readings=readings,
            judging=judging,
        )


def _asked(metrics: pa.Table) -> dict[Key, Counter[str]]:
    """Requests of each point by server; those that an interrupt came before count as none."""
    found: dict[Key, Counter[str]] = {}
    columns = ("workload", "model", "server", "error", "sent_ns")
    for workload, model, server, error, sent in zip(*(metrics[n].to_pylist() for n in columns), strict=True):
        started = error != "interrupted" or sent is not None
        found.setdefault((str(workload), str(model)), Counter())[str(server)] += started
    return found


def point_rows(cell: Cell, point: Point) -> Iterator[Row]:
    """One row a metric of a point, in the order of the registry."""
    codes = judge(point, cell.codes)
    for name, metric in POINT.items():
        if metric.scope != "point":
            continue
        if "{slo}" not in name:
            yield _row(cell, point.model, point.workload, name, metric, metric.read(point), codes)
            continue
        for slo, spec in sorted(point.judging.slos.items()):
            named = name.replace("{slo}", slo)
            yield _row(cell, point.model, point.workload, named, metric, metric.read(point, spec), codes)


def life_rows(cell: Cell, readings: tuple[Readings, ...]) -> Iterator[Row]:
    """One row a metric of the whole deployment in this life."""
    life = Life(readings, cell.windows)
    for name, metric in POINT.items():
        if metric.scope == "deployment":
            yield _row(cell, "*", "*", name, metric, metric.read(life), cell.codes)


def _row(cell: Cell, model: str, workload: str, name: str, metric: Metric, value: Value, codes: dict[str, str]) -> Row:
    return {
        "study": cell.study,
        "deployment": cell.deployment,
        "engine": str(cell.plan.get("deployment", {}).get("engine", "external")),
        "language": cell.language,
        "replicate": cell.replicate,
        "life": cell.life,
        "model": model,
        "workload": workload,
        "metric": name,
        "value": None if value.value is None else float(f"{value.value:.{_DIGITS}g}"),
        "unit": metric.unit,
        "better": metric.better,
        "n": value.n,
        "needs": metric.least,
        "reason": value.reason,
        "codes": ",".join(codes),
        "reasons": json.dumps(codes, ensure_ascii=False),
        "fatal": fatal(codes),
    }


def _workload(cell: Cell, name: str) -> Workload | None:
    spec = cell.plan.get("workloads", {}).get(name)
    return None if spec is None else Workload.model_validate(spec)
