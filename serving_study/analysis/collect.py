"""Cells to one long table of points: who may be paired with whom, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow.parquet as pq
from pydantic import ValidationError

from serving_study.analysis.claimable import of_whole_answers
from serving_study.load.record import Cell
from serving_study.metrics.derive import derive
from serving_study.metrics.point import Judging
from serving_study.metrics.validity import fatal
from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment, Model, Slo

SAME_SESSION_NS = 6 * 3600 * 10**9
"""Cells of one replicate further apart than this were not measured in one block."""
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell with what was derived from it."""

    cell: Cell
    block: str
    points: pd.DataFrame
    requests: pd.DataFrame

    @property
    def key(self) -> Key:
        """Deployment, language and replicate."""
        return self.cell.deployment, self.cell.language, self.cell.replicate

    @property
    def deployment(self) -> Deployment:
        """The deployment as it was planned."""
        return Deployment.model_validate(self.cell.plan["deployment"])

    @property
    def models(self) -> dict[str, Model]:
        """The models as they were planned."""
        return {name: Model.model_validate(m) for name, m in self.cell.plan["models"].items()}


def read_cells(cells: Iterable[Path], points: Iterable[Path], metrics: Iterable[Path]) -> list[Measured]:
    """Cells from their ``cell.json``, and what was derived of them wherever it stands."""
    said = {(c.deployment, c.language, c.replicate): c for c in map(_cell, cells)}
    values = {_key_of(f): pq.read_table(f).to_pandas() for f in points}
    requests = {_key_of(f): pq.read_table(f).to_pandas() for f in metrics}
    for name, found in (("points.parquet", values), ("metrics.parquet", requests)):
        for key in sorted(said.keys() - found.keys()):
            raise StudyError(f"{'/'.join(map(str, key))}: {name} is missing; run derive for this cell first")
    blocks = sessions(said.values())
    return [Measured(said[k], blocks[k], values[k], requests[k]) for k in sorted(said)]


def read_measured(files: Sequence[Path]) -> list[Measured]:
    """Cells from their ``cell.json`` alone: what was derived stands beside it, or is derived now from the raw files."""
    blocks = sessions(map(_cell, files))
    found = []
    for file in files:
        cell = _cell(file)
        beside = [file.with_name(name) for name in ("points.parquet", "metrics.parquet")]
        if all(f.exists() for f in beside):
            values, requests = (pq.read_table(f).to_pandas() for f in beside)
        else:
            derived = derive(file, Judging())
            values, requests = derived.points.to_pandas(), derived.metrics.to_pandas()
        found.append(Measured(cell, blocks[cell.deployment, cell.language, cell.replicate], values, requests))
    return found


def _cell(file: Path) -> Cell:
    try:
        return Cell.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise StudyError(f"{file}: is no record of a cell ({error}); measure this cell again") from error


def _key_of(file: Path) -> Key:
    """Deployment, language and replicate from ``.../DEPLOYMENT/LANGUAGE/rNN/file``."""
    try:
        deployment, language, replicate = file.resolve().parts[-4:-1]
        return deployment, language, int(replicate.removeprefix("r"))
    except ValueError:
        raise StudyError(f"{file}: must stand in a folder DEPLOYMENT/LANGUAGE/rNN") from None


def sessions(cells: Iterable[Cell]) -> dict[Key, str]:
    """Block of each cell: its replicate, host and session, so that lives of another host or day are never paired."""
    found: dict[Key, str] = {}
    last: dict[tuple[int, str], int] = {}
    count: dict[tuple[int, str], int] = {}
    for cell in sorted(cells, key=lambda c: (c.clock_start.utc_ns, c.deployment, c.language, c.replicate)):
        place = (cell.replicate, cell.host.name)
        if place not in last or cell.clock_start.utc_ns - last[place] > SAME_SESSION_NS:
            count[place] = count.get(place, 0) + 1
        last[place] = max(last.get(place, 0), cell.clock_end.utc_ns)
        found[cell.deployment, cell.language, cell.replicate] = f"r{cell.replicate:02}/{cell.host.name}/{count[place]}"
    return found


def points_of(cells: Sequence[Measured], reserving: Collection[str] = ()) -> pd.DataFrame:
    """All points of all cells, each with its block, host and type of weights.

    ``reserving``: deployments whose engine says that it reserves memory, whatever it uses of it.
    """
    frames = []
    for m in cells:
        models, deployment = m.models, m.deployment
        types = {name: deployment.weights or model.weights for name, model in models.items()}
        frames.append(
            m.points.assign(
                block=m.block,
                host=m.cell.host.name,
                weights=m.points["model"].astype(str).map(types).fillna(whole_weights(types)),
                reserves=m.cell.deployment in reserving or bool(deployment.memory_share),
                codes=m.points["codes"].astype(str),
            )
        )
    return pd.concat(frames, ignore_index=True)


def whole_weights(types: Mapping[str, str]) -> str:
    """Models and types of a whole deployment, for values that belong to no single model."""
    return ",".join(f"{name}:{kind}" for name, kind in sorted(types.items()))


def comparable(points: pd.DataFrame, slos: Mapping[str, Slo] | None = None) -> pd.DataFrame:
    """The points that may be compared: those that nothing takes out, see ``left_out``."""
    return points[left_out(points, slos) == ""]


def left_out(points: pd.DataFrame, slos: Mapping[str, Slo] | None = None) -> pd.Series[str]:
    """Why each point takes no part in comparisons; empty where it does.

    ``invalid``: a fatal code; ``too-few-requests`` for the metric; ``early-stop``: answers ended before the tokens asked
    for, so that what is counted by whole answers is of less work. ``slos`` tells which objectives limit whole answers.
    """
    whole = {m: of_whole_answers(m, slos or {}) for m in points["metric"].unique()}
    stopped = points["codes"].astype(str).str.split(",").map(lambda codes: "EARLY_STOP" in codes).astype(bool)
    why = pd.Series("", index=points.index).mask(stopped & points["metric"].map(whole).astype(bool), "early-stop")
    return why.mask(points["n"] < points["needs"], "too-few-requests").mask(points["fatal"].astype(bool), "invalid")


def cell_rows(cells: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row a cell for ``tables.CELLS``."""
    return [
        {
            "deployment": m.cell.deployment,
            "engine": m.deployment.engine,
            "language": m.cell.language,
            "replicate": m.cell.replicate,
            "life": m.cell.life,
            "block": m.block,
            "host": m.cell.host.name,
            "started": datetime.fromtimestamp(m.cell.clock_start.utc_ns // 10**9, UTC).isoformat(),
            "seconds": (m.cell.clock_end.monotonic_ns - m.cell.clock_start.monotonic_ns) / 1e9,
            "requests": len(m.requests),
            "chunks": int(m.requests["chunks"].fillna(0).sum()),
            "codes": ",".join(sorted(set(m.cell.codes) | _codes(m.points["codes"]))),
            "reasons": "; ".join(f"{code}: {why}" for code, why in sorted(m.cell.codes.items())),
            "commit": m.cell.commit,
        }
        for m in cells
    ]


def _codes(column: pd.Series[str]) -> set[str]:
    return {code for codes in column.dropna().unique() for code in str(codes).split(",") if code}


def request_rows(cells: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row a point over all lives, for ``tables.REQUESTS``."""
    frames = [m.requests.assign(deployment=m.cell.deployment, life=m.cell.life) for m in cells]
    keys = ["deployment", "model", "language", "workload"]
    rows = []
    for key, r in pd.concat(frames, ignore_index=True).groupby(keys, observed=True, sort=True):
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "lives": r["life"].nunique(),
                "requests": len(r),
                "measured": int(r["measured"].sum()),
                "succeeded": int(r["error"].isna().sum()),
                "early_stops": int((r["output_tokens"] < r["max_tokens"]).sum()),
                "other_language": int((r["text_language_ok"] == False).sum()),  # noqa: E712 - null is unknown
                "output_tokens": int(r["output_tokens"].fillna(0).sum()),
                "chunks": int(r["chunks"].fillna(0).sum()),
            }
        )
    return rows


def validity_rows(cells: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row a code of a point in a life, for ``tables.VALIDITY``."""
    rows: list[dict[str, Any]] = []
    for m in cells:
        seen = m.points[["model", "workload", "codes", "reasons", "fatal"]].astype({"codes": str, "reasons": str})
        for (model, workload), p in seen.drop_duplicates().groupby(["model", "workload"], observed=True):
            reasons = {code: why for each in p["reasons"] for code, why in orjson.loads(each).items()}
            rows += [
                {
                    "deployment": m.cell.deployment,
                    "language": m.cell.language,
                    "replicate": m.cell.replicate,
                    "model": model,
                    "workload": workload,
                    "code": code,
                    "fatal": bool(p["fatal"].any()) and fatal({code: ""}),
                    "reason": reasons.get(code),
                }
                for code in sorted(_codes(p["codes"]))
            ]
    return rows
