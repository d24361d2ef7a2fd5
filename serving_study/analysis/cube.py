"""Values of a study as one array of logarithms, so that a study or a thousand are compared by the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Better = Literal["higher", "lower", "neither"]
_SIGN: dict[Better, int] = {"higher": 1, "lower": -1, "neither": 0}
KEYS = ("model", "language", "workload")


@dataclass(frozen=True, slots=True)
class Cube:
    """Logarithms of values, one a life, and what they share.

    ``y`` has shape (..., deployment, metric, cell, block); NaN where nothing valid was measured. A cell here is
    model x language x workload: engines are compared at equal model, language and load.
    """

    y: Floats
    deployments: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: tuple[tuple[str, str, str], ...]
    blocks: tuple[str, ...]
    sign: Ints
    """(metric): +1 where higher is better, -1 where lower is, 0 where neither is."""
    pool: Ints
    """(cell): cells of one load share a pooled variance."""
    group: Ints
    """(cell): cells that share server lives; only different groups are independent inside a block."""
    weights: Ints
    """(deployment, cell): cells whose weights have the same type share a number."""
    overall: Ints
    """(deployment): deployments with the same models, each with the same type of weights, share a number."""
    weight_names: tuple[str, ...]


def cube(frame: pd.DataFrame, better: Mapping[str, Better], metrics: Sequence[str]) -> Cube:
    """Arrange ``frame`` (columns as ``compare`` documents) for comparing ``metrics``.

    Rows without a positive value are left out: a ratio of them means nothing.
    """
    f = frame[frame["metric"].isin(list(metrics)) & (frame["value"] > 0)]
    names = tuple(sorted(f["deployment"].unique()))
    kinds = tuple(m for m in metrics if m in set(f["metric"]))
    blocks = tuple(sorted(f["block"].unique()))
    cells = tuple(sorted(set(zip(f["model"], f["language"], f["workload"], strict=True))))
    e = pd.Index(names).get_indexer(pd.Index(f["deployment"]))
    m = pd.Index(kinds).get_indexer(pd.Index(f["metric"]))
    c = pd.MultiIndex.from_tuples(cells or [("", "", "")]).get_indexer(pd.MultiIndex.from_frame(f[list(KEYS)]))
    b = pd.Index(blocks).get_indexer(pd.Index(f["block"]))
    y = np.full((len(names), len(kinds), len(cells), len(blocks)), np.nan)
    y[e, m, c, b] = np.log(f["value"].to_numpy(float))
    weights, overall, weight_names = _weights(f, names, cells, e, c)
    return Cube(
        y=y,
        deployments=names,
        metrics=kinds,
        cells=cells,
        blocks=blocks,
        sign=np.array([_SIGN[better[k]] for k in kinds], dtype=np.int64),
        pool=np.unique([cell[2] for cell in cells], return_inverse=True)[1].astype(np.int64),
        group=_groups(f["life"].astype(str).to_numpy(), c, len(cells)),
        weights=weights,
        overall=overall,
        weight_names=weight_names,
    )


def _groups(lives: NDArray[np.object_], cells: Ints, count: int) -> Ints:
    """Number of the group of each cell: cells measured in one life, directly or through others, belong together."""
    life = np.unique(lives.astype(str), return_inverse=True)[1]
    size = int(life.max(initial=-1)) + 1
    edges = csr_array((np.ones(len(life)), (cells, life + count)), shape=(count + size, count + size))
    found = connected_components(edges, directed=False)[1][:count]
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _weights(
    f: pd.DataFrame, names: tuple[str, ...], cells: tuple[tuple[str, str, str], ...], e: Ints, c: Ints
) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Types of weights by deployment and cell, and which deployments hold the same models in the same types."""
    kind = f["weights"].astype(str) if "weights" in f else pd.Series("", index=f.index)
    weight_names, number = np.unique(kind.to_numpy(str), return_inverse=True)
    weights = np.full((len(names), len(cells)), -1, dtype=np.int64)
    weights[e, c] = number
    held = [
        repr(sorted({(cells[j][0], int(weights[i, j])) for j in range(len(cells)) if weights[i, j] >= 0}))
        for i in range(len(names))
    ]
    overall = np.unique(held, return_inverse=True)[1].astype(np.int64) if held else np.zeros(0, dtype=np.int64)
    return weights, overall, tuple(str(w) for w in weight_names)
