"""A deployment over its whole mix: models and languages with equal weight, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.contrasts import ALL, Blocks
from serving_study.analysis.cube import Floats
from serving_study.analysis.estimates import LEVEL, PER_CHARACTER, is_share, mean_over_lives


def mix_rows(points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``answers.MIX`` for every metric that has a better direction; ``points`` may be compared."""
    # characters of answers in another language than asked say nothing, so a mix of languages has none
    ranked = points[(points["better"] != "neither") & ~points["metric"].isin(PER_CHARACTER)]
    values = Blocks(ranked)
    for (metric, unit), of_metric in ranked.groupby(["metric", "unit"], sort=True):
        plain = str(unit) == "1"
        loads = sorted(set(of_metric["workload"]) - {"*"})
        for workload in (ALL, *loads):
            for deployment in sorted(set(of_metric["deployment"])):
                cells = values.mix(str(metric), deployment, workload)
                if not len(cells):
                    continue
                found = mean_over_lives(block_means(cells, plain), plain=plain, share=is_share(str(metric)))
                yield {
                    "metric": metric,
                    "deployment": deployment,
                    "workload": workload,
                    **{k: found[k] for k in ("value", "low", "high", "reason")},
                    "level": LEVEL,
                    "unit": unit,
                    "lives": cells.shape[1],
                    "cells": len(cells),
                } | ({} if cells.shape[1] else {"reason": "not-measured"})


def block_means(values: Floats, plain: bool) -> Floats:
    """Mean over cells (rows) in each block (columns): geometric unless ``plain`` or a value is not positive."""
    if plain or not (values > 0).all():
        return np.asarray(values.mean(axis=0))
    return np.asarray(np.exp(np.log(values).mean(axis=0)))
