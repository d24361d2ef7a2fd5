"""What the deployments say of themselves: how they started, settings that really ran, memory, warm-up."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow.parquet as pq

from serving_study.analysis.collect import whole_weights
from serving_study.load.record import Host
from serving_study.study.types import Deployment, Model

Json = Mapping[str, Any]


def records(files: Iterable[Path]) -> list[Json]:
    """The JSON records in ``files``, by deployment."""
    return sorted((orjson.loads(f.read_bytes()) for f in files), key=lambda r: r["deployment"])


def deployment_rows(records: Iterable[Json]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.DEPLOYMENTS`` from ``deploy.json``."""
    for r in records:
        planned = Deployment.model_validate(r["plan"]["deployment"])
        models = {name: Model.model_validate(m) for name, m in r["plan"]["models"].items()}
        host = Host.model_validate(r["host"])
        told = list(r["engine_memory_bytes"].values())
        yield {
            "deployment": r["deployment"],
            "engine": r["engine"],
            "title": r["title"],
            "version": planned.version,
            "versions": ",".join(f"{name}={version}" for name, version in sorted(r["versions"].items())),
            "models": ",".join(models),
            "weights": whole_weights({name: planned.weights or m.weights for name, m in models.items()}),
            "servers": len(r["servers"]),
            "slots": planned.slots,
            "context": planned.context,
            "ready_after": sum(r["ready_after_ns"].values()) or None,
            "idle_memory": _total([_pss(memory) for memory in r["idle_memory_bytes"].values()]),
            "weights_memory": _total([t.get("weights") for t in told]),
            "kv_capacity": _total([t.get("kv_capacity") for t in told]),
            "processor": host.processor,
            "cores": host.cores,
            "memory": host.memory_bytes,
            "accelerators": ",".join(host.accelerators),
            "system": host.system,
            **{part: r.get("quick_start", {}).get(part) for part in ("compose", "commands", "pull", "curl")},
        }


def kv_memory(records: Iterable[Json]) -> dict[tuple[str, str], float]:
    """(deployment, model) to bytes of the KV cache, where the engine tells it for a server of one model."""
    return {
        (r["deployment"], server): float(told["kv_capacity"])
        for r in records
        for server, told in r["engine_memory_bytes"].items()
        if server in r["models"] and told.get("kv_capacity")
    }


def kv_tokens(records: Iterable[Json]) -> dict[tuple[str, str], int]:
    """(deployment, model) to the tokens that its KV cache holds, where the engine tells that of a server of one model."""
    return {
        (r["deployment"], s["server"]): int(s["ran"])
        for r in records
        for s in r["settings"]
        if s["name"] == "kv_tokens" and s.get("server") in r["models"] and str(s["ran"]).isdigit()
    }


def kv_rows(points: pd.DataFrame, capacity: Mapping[tuple[str, str], float]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.KV_CACHE``; ``points`` may be compared, ``capacity`` is that of ``kv_memory``."""
    seen = points[points["metric"] == "kv_used_peak"]
    for (deployment, model, workload), own in seen.groupby(["deployment", "model", "workload"], sort=True):
        told, room = own[own["value"].notna()], capacity.get((str(deployment), str(model)))
        share = float(told["value"].max()) if len(told) else None
        used = share * room if share is not None and room is not None else None
        yield {
            "deployment": deployment,
            "model": model,
            "workload": workload,
            "share": share,
            "capacity": room,
            "used": used,
            "lives": int(told["life"].nunique()),
            "reason": "not-told" if used is None else None,
        }


def reserving(records: Iterable[Json]) -> set[str]:
    """Deployments whose engine says that it reserves memory in advance."""
    return {r["deployment"] for r in records if r.get("reserves", False)}


def _pss(memory: Any) -> float | None:
    return memory.get("pss") if isinstance(memory, Mapping) else memory


def _total(parts: list[float | None]) -> float | None:
    """Sum of the parts, unless one is not known: half of a sum says nothing."""
    known = [p for p in parts if p is not None]
    return sum(known) if known and len(known) == len(parts) else None


def ledger_rows(records: Iterable[Json]) -> list[dict[str, Any]]:
    """Rows of ``tables.LEDGER``: each setting beside what ran, and whether all deployments agree on it."""
    settings = [(r["deployment"], s) for r in records for s in r["settings"]]
    ran: dict[str, dict[str, dict[str, str]]] = {}
    for deployment, s in settings:
        if s["ran"] is not None:
            ran.setdefault(s["name"], {}).setdefault(deployment, {})[s.get("server", "")] = str(s["ran"])
    unequal = {name for name, told in ran.items() if name not in _NO_SETTINGS and not _agree(told.values())}
    return [
        {
            "deployment": deployment,
            "server": s.get("server", ""),
            "name": s["name"],
            "asked": s["asked"],
            "ran": s["ran"],
            "source": s["source"],
            "status": _status(s["asked"], s["ran"]),
            "equal": s["name"] not in unequal,
        }
        for deployment, s in settings
    ]


_NO_SETTINGS = ("model_name",)
"""What a server tells of itself that makes no two deployments unequal."""


def _agree(told: Iterable[Mapping[str, str]]) -> bool:
    """Whether deployments run one setting alike; each tells server (or model) to value.

    Servers of the same name are held against each other; without any, all values of one deployment against the other's.
    """
    for a, b in combinations(told, 2):
        both = a.keys() & b.keys()
        if any(a[s] != b[s] for s in both) or (not both and set(a.values()) != set(b.values())):
            return False
    return True


def _status(asked: str | None, ran: str | None) -> str:
    if ran is None:
        return "not-told"
    if asked is None:
        return "not-asked"
    return "as-asked" if str(asked) == str(ran) else "differs"


def memory_rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.MEMORY`` from the deployments' ``memory.parquet``."""
    for file in files:
        for row in pq.read_table(file).to_pylist():
            yield {"deployment": file.parent.name, **row}


def warmup_rows(records: Iterable[Json]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.WARMUP`` from ``warmup.json``."""
    for r in records:
        for model, seen in r["models"].items():
            curve = seen["durations_ns"]
            yield {
                "deployment": r["deployment"],
                "model": model,
                "requests": seen["requests"],
                "steady": seen["steady"],
                "first": curve[0],
                "later": statistics.median(curve[len(curve) // 2 :]),
            }


def curve_rows(records: Iterable[Json]) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.WARMUP_CURVE``."""
    for r in records:
        for model, seen in r["models"].items():
            for number, duration in enumerate(seen["durations_ns"], 1):
                yield {"deployment": r["deployment"], "model": model, "request": number, "duration": duration}
