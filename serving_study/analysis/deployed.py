"""What the deployments say of themselves: how they started, settings that really ran, memory, warm-up."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
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
            "ready_after": sum(r["ready_after_ns"].values()),
            "idle_memory": _total([_pss(memory) for memory in r["idle_memory_bytes"].values()]),
            "weights_memory": _total([t.get("weights") for t in told]),
            "kv_capacity": _total([t.get("kv_capacity") for t in told]),
            "processor": host.processor,
            "cores": host.cores,
            "memory": host.memory_bytes,
            "accelerators": ",".join(host.accelerators),
            "system": host.system,
            **{part: r.get("quick_start", {}).get(part) for part in ("compose", "commands", "curl")},
        }


def kv_memory(records: Iterable[Json]) -> dict[tuple[str, str], float]:
    """(deployment, model) to bytes of the KV cache, where the engine tells it for a server of one model."""
    return {
        (r["deployment"], server): float(told["kv_capacity"])
        for r in records
        for server, told in r["engine_memory_bytes"].items()
        if server in r["models"] and told.get("kv_capacity")
    }


def _pss(memory: Any) -> float | None:
    return memory.get("pss") if isinstance(memory, Mapping) else memory


def _total(parts: list[float | None]) -> float | None:
    """Sum of the parts, unless one is not known: half of a sum says nothing."""
    known = [p for p in parts if p is not None]
    return sum(known) if known and len(known) == len(parts) else None


def ledger_rows(records: Iterable[Json]) -> list[dict[str, Any]]:
    """Rows of ``tables.LEDGER``: each setting beside what ran, and whether all deployments agree on it."""
    settings = [(r["deployment"], s) for r in records for s in r["settings"]]
    ran: dict[str, set[str]] = {}
    for _, s in settings:
        if s["ran"] is not None:
            ran.setdefault(s["name"], set()).add(str(s["ran"]))
    return [
        {
            "deployment": deployment,
            "server": s.get("server", ""),
            "name": s["name"],
            "asked": s["asked"],
            "ran": s["ran"],
            "source": s["source"],
            "status": _status(s["asked"], s["ran"]),
            "equal": len(ran.get(s["name"], set())) <= 1,
        }
        for deployment, s in settings
    ]


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
