"""Facts that describe: how much was measured, names, estimates, settings, memory, warm-up, validity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from serving_study.analysis import tables
from serving_study.analysis.estimates import is_share
from serving_study.analysis.facts import Fact, Kind, Source, Value, fact_id, number, plain, rows, source, subject
from serving_study.study.types import Study

Frames = Mapping[str, pd.DataFrame]
POINT = ("metric", "deployment", "model", "language", "workload")


def described(study: Study, frames: Frames) -> Iterator[Fact]:
    """All facts that compare nothing."""
    yield from _study(study)
    yield from _counts(frames)
    yield from _labels(study, frames)
    yield from _deployments(frames["deployments"])
    yield from _estimates(frames["estimates"])
    yield from _requests(frames["requests_summary"])
    yield from _settings(frames["ledger"])
    yield from _memory(frames["memory"])
    yield from _kv_cache(frames["kv_cache"])
    yield from _loading(frames["loading"])
    yield from _warmup(frames["warmup"])
    yield from _validity(frames["validity"])


def _study(study: Study) -> Iterator[Fact]:
    """What was asked, from the study file itself."""

    def asked(kind: str, name: str, key: str, value: Value, unit: str | None = None) -> Iterator[Fact]:
        if value is not None:
            about = {kind: name} if name else {}
            yield Fact(
                fact_id(kind, *([name] if name else []), key),
                "text" if isinstance(value, str) else "estimate" if isinstance(value, float) else "count",
                value,
                Source("study", about, key),
                unit,
                subject=about,
            )

    for language, question in study.question.items():
        yield from asked("question", language, "text", question)
    yield from asked("study", "", "replicates", study.replicates)
    yield from asked("study", "", "seed", study.seed)
    yield from asked("study", "", "usd_per_hour", study.usd_per_hour, "USD/h")
    for name, why in study.left_out.items():
        yield from asked("left-out", name, "reason", why)
    for name, w in study.workloads.items():
        yield from asked("workload", name, "concurrency", w.concurrency, "request")
        yield from asked("workload", name, "rate", w.rate, "1/s")
        yield from asked("workload", name, "requests", w.requests, "request")
        yield from asked("workload", name, "together", "together" if w.together else None)
        yield from asked("workload", name, "max_tokens", w.max_tokens, "token")
        yield from asked("workload", name, "input_tokens", w.input_tokens, "token")
    for name, slo in study.slos.items():
        yield from asked("slo", name, "ttft", slo.ttft_ms and slo.ttft_ms * 1e6, "ns")
        yield from asked("slo", name, "tpot", slo.tpot_ms and slo.tpot_ms * 1e6, "ns")
        yield from asked("slo", name, "e2e", slo.e2e_ms and slo.e2e_ms * 1e6, "ns")
        yield from asked("slo", name, "attainment", slo.attainment, "share")
    for name, m in study.models.items():
        yield from asked("model", name, "parameters", m.parameters, "1")
        yield from asked("model", name, "weights", m.weights)
        yield from asked("model", name, "license", m.license)


def _counts(frames: Frames) -> Iterator[Fact]:
    """The scale of the tests, each counted from a table."""
    cells, points, requests = frames["cells"], frames["points"], frames["requests_summary"]
    measured = points.drop_duplicates(["deployment", "language", "replicate", "model", "workload"])
    measured = measured[measured["model"] != "*"]
    steady = frames["steadiness"]
    counts: list[tuple[str, str, int, str]] = [
        ("cells", "cells", len(cells), "1"),
        ("lives", "cells", cells["life"].nunique(), "1"),
        ("blocks", "cells", cells["block"].nunique(), "1"),
        ("hosts", "cells", cells["host"].nunique(), "1"),
        ("points", "points", len(measured), "1"),
        ("points-left-out", "points", int(measured["fatal"].sum()), "1"),
        ("points-judged-steadiness", "steadiness", int(steady["steady"].notna().sum()), "1"),
        ("points-not-judged-steadiness", "steadiness", int((steady["reason"] == "too-few-requests").sum()), "1"),
        ("values", "points", int(points["value"].notna().sum()), "1"),
        ("requests", "requests_summary", int(requests["requests"].sum()), "request"),
        ("requests-succeeded", "requests_summary", int(requests["succeeded"].sum()), "request"),
        ("chunks", "requests_summary", int(requests["chunks"].sum()), "chunk"),
        ("output-tokens", "requests_summary", int(requests["output_tokens"].sum()), "token"),
    ]
    for name, table, value, unit in counts:
        yield Fact(f"count/{name}", "count", value, Source(table, {}, name), unit)
    for key in ("deployment", "engine", "language", "replicate"):
        yield Fact(f"count/{key}s", "count", int(cells[key].nunique()), Source("cells", {}, key), "1")
    for key in ("model", "workload"):
        yield Fact(f"count/{key}s", "count", int(measured[key].nunique()), Source("points", {}, key), "1")
    yield Fact("count/seconds", "estimate", number(cells["seconds"].sum()), Source("cells", {}, "seconds"), "s")


def _labels(study: Study, frames: Frames) -> Iterator[Fact]:
    points = frames["points"]
    for key in ("deployment", "engine", "model", "language", "workload", "metric"):
        for name in sorted(set(points[key]) - {"*"}):
            yield Fact(
                fact_id("label", key, name), "label", name, Source("points", {key: name}, key), subject={key: name}
            )
    wanted = {metric for case in study.use_cases.values() for metric in case.weights}
    for name in sorted(wanted - set(points["metric"])):
        place = Source("study", {"use_cases": name}, "weights")
        yield Fact(fact_id("label", "metric", name), "label", name, place, subject={"metric": name})


_TEXTS = ("engine", "title", "version", "models", "weights", "processor", "accelerators", "system")
_NUMBERS = {
    "servers": "1",
    "slots": "request",
    "context": "token",
    "ready_after": "ns",
    "idle_memory": "byte",
    "weights_memory": "byte",
    "kv_capacity": "byte",
    "cores": "1",
    "memory": "byte",
}


def _deployments(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        about = subject(row, "deployment")
        for column in (*_TEXTS, *_NUMBERS):
            value = plain(row[column])
            yield Fact(
                fact_id("deployment", row["deployment"], column),
                "text" if column in _TEXTS else "count" if isinstance(value, int) else "estimate",
                value,
                source(tables.DEPLOYMENTS, row, column),
                _NUMBERS.get(column),
                subject=about,
                reason="not-told" if value is None else None,
            )
        for column in ("compose", "commands", "pull", "curl"):
            value = plain(row[column])
            if value is not None:
                where = source(tables.DEPLOYMENTS, row, column)
                yield Fact(fact_id("quick-start", row["deployment"], column), "text", value, where, subject=about)
        for part in filter(None, row["versions"].split(",")):
            name, _, version = part.partition("=")
            yield Fact(
                fact_id("version", row["deployment"], name),
                "text",
                version,
                source(tables.DEPLOYMENTS, row, "versions"),
                subject={**about, "component": name},
            )


def _estimates(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        unit = str(row["unit"])
        yield Fact(
            fact_id("estimate", *(row[k] for k in POINT)),
            "share" if is_share(str(row["metric"])) else "estimate",
            plain(row["value"]),
            source(tables.ESTIMATES, row, "value"),
            unit,
            number(row["low"]),
            number(row["high"]),
            number(row["level"]),
            int(row["n"]),
            int(row["lives"]),
            subject(row, *POINT),
            row["reason"],
        )


def _requests(frame: pd.DataFrame) -> Iterator[Fact]:
    keys = tables.REQUESTS.key
    for row in rows(frame):
        for column in ("lives", "requests", "succeeded", "early_stops", "other_language", "output_tokens"):
            yield Fact(
                fact_id("requests", *(row[k] for k in keys), column),
                "count",
                int(row[column]),
                source(tables.REQUESTS, row, column),
                "token" if column == "output_tokens" else "1" if column == "lives" else "request",
                subject=subject(row, *keys),
            )


def _settings(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        for column in ("asked", "ran"):
            yield Fact(
                fact_id("setting", row["deployment"], row["server"], row["name"], column),
                "text",
                plain(row[column]),
                source(tables.LEDGER, row, column),
                subject={**subject(row, "deployment", "server", "name", "equal"), "from": row["source"]},
                reason=row["status"],
            )


def _memory(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        yield Fact(
            fact_id("memory", row["deployment"], row["server"], row["stage"], row["part"]),
            "estimate",
            plain(row["value"]),
            source(tables.MEMORY, row, "value"),
            "byte",
            lives=1,
            subject={**subject(row, *tables.MEMORY.key), "seen_by": row["source"]},
        )


def _kv_cache(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        columns: tuple[tuple[str, Kind, str], ...] = (("used", "estimate", "byte"), ("share", "share", "1"))
        for column, kind, unit in columns:
            yield Fact(
                fact_id("kv-cache", *(row[k] for k in tables.KV_CACHE.key), column),
                kind,
                row[column],
                source(tables.KV_CACHE, row, column),
                unit,
                lives=row["lives"],
                subject=subject(row, *tables.KV_CACHE.key),
                reason=row["reason"] if row[column] is None else None,
            )


def _loading(frame: pd.DataFrame) -> Iterator[Fact]:
    for row in rows(frame):
        yield Fact(
            fact_id("loading", *(row[k] for k in tables.LOADING.key)),
            "estimate",
            plain(row["value"]),
            source(tables.LOADING, row, "value"),
            str(row["unit"]),
            n=int(row["n"]),
            lives=1,
            subject={**subject(row, *tables.LOADING.key), "held": str(row["held"])},
        )


def _warmup(frame: pd.DataFrame) -> Iterator[Fact]:
    units = {"requests": "request", "first": "ns", "later": "ns"}
    for row in rows(frame):
        for column, unit in units.items():
            yield Fact(
                fact_id("warmup", row["deployment"], row["model"], column),
                "count" if column == "requests" else "estimate",
                plain(row[column]),
                source(tables.WARMUP, row, column),
                unit,
                lives=1,
                subject=subject(row, "deployment", "model"),
                reason=None if row["steady"] else "not-steady",
            )


def _validity(frame: pd.DataFrame) -> Iterator[Fact]:
    for code, found in frame.groupby("code", sort=True):
        yield Fact(
            fact_id("validity", str(code)),
            "count",
            len(found),
            Source("validity", {"code": str(code)}, "code"),
            "1",
            subject={"code": str(code), "fatal": bool(found["fatal"].any())},
        )
    keys = tables.VALIDITY.key
    for row in rows(frame):
        yield Fact(
            fact_id("invalid" if row["fatal"] else "noted", *(row[k] for k in keys)),
            "text",
            row["code"],
            source(tables.VALIDITY, row, "code"),
            subject={**subject(row, *keys), "reason": plain(row["reason"])},
            reason=row["code"],
        )
