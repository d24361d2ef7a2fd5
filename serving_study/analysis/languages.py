"""What a language costs: at equal meaning and at equal token count, never by the length of the answers it got.

Tokens of the same content come from the prompts, whose ids mean the same in every language: characters of the prompts
that were asked in both, times the tokens that a character of prompt costs this model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.collect import Measured
from serving_study.analysis.contrasts import Blocks, ratio
from serving_study.analysis.estimates import LEVEL, mean_over_lives
from serving_study.study.prompts import nonce
from serving_study.study.types import Study, Workload

Series = pd.Series
Of = Callable[[str, str], Series]
"""Metric and language to the values of one point by block."""
FEWEST_PROMPTS = 11
NONCE = len(nonce(0, 0)) + 1
"""Characters that a nonce and its line's end add to every prompt."""


def base_language(languages: Sequence[str]) -> str:
    """English where it was measured, else the first."""
    return "en" if "en" in languages else languages[0]


def content(cells: Sequence[Measured], workloads: dict[str, Workload]) -> pd.DataFrame:
    """Characters of each prompt (rows: ids that every workload takes from the shared set) in each language (columns)."""
    shared = [w for w, load in workloads.items() if load.prompts is None and load.input_tokens is None]
    plain = {w for w in shared if workloads[w].measure_cache}
    asked = pd.concat([m.requests[["workload", "language", "prompt", "prompt_chars"]] for m in cells])
    asked = asked.astype({"workload": str, "language": str, "prompt": str}).dropna()
    asked = asked[asked["workload"].isin(shared)]
    chars = asked["prompt_chars"].astype(float) - np.where(asked["workload"].isin(plain), 0, NONCE)
    return asked.assign(chars=chars).groupby(["prompt", "language"])["chars"].min().unstack("language")


def language_rows(study: Study, cells: Sequence[Measured], points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of ``tables.LANGUAGES``; ``points`` are those that may be compared."""
    base = base_language(study.languages)
    chars = content(cells, study.workloads)
    values = Blocks(points)
    for deployment, model, workload in sorted({(d, m, w) for d, m, _, w in values.points()}):

        def of(metric: str, language: str, where: tuple[str, str, str] = (deployment, model, workload)) -> Series:
            return values.of(metric, where[0], where[1], language, where[2])

        for language in study.languages:
            key = {"deployment": deployment, "model": model, "workload": workload, "language": language}
            yield {**key, **_derived(of, language)}
            if language != base:
                tokens = study.workloads[workload].max_tokens
                for measure, found in _against(of, chars, language, base, tokens):
                    yield {**key, "measure": measure, "base": base, "unit": "1", **found}


def _derived(of: Of, language: str) -> dict[str, Any]:
    """Output tokens/s as characters/s of the prompts' text: for answers that are not in the language that was asked."""
    speed = of("output_throughput", language) / of("tokens_per_character", language)
    found = mean_over_lives(np.asarray(speed.dropna(), dtype=np.float64))
    kept = {k: found[k] for k in ("value", "low", "high", "reason")}
    if found["value"] is None:
        kept["reason"] = "not-measured"
    return {
        **kept,
        "measure": "derived-characters",
        "base": "",
        "unit": "character/s",
        "level": LEVEL,
        "lives": int(speed.notna().sum()),
    }


def _against(
    of: Of, chars: pd.DataFrame, language: str, base: str, tokens: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    def seconds(of_language: str, count: Series | float) -> Series:
        return of("ttft_p50", of_language) + (count - 1) * of("tpot_p50", of_language)

    yield "answer-length", ratio([of("output_tokens_mean", language)], [of("output_tokens_mean", base)])
    yield "equal-tokens", ratio([seconds(language, tokens)], [seconds(base, tokens)])
    both = chars[[language, base]].dropna() if {language, base} <= set(chars) else chars.iloc[:0]
    if len(both) < FEWEST_PROMPTS:
        for measure in ("token-cost", "equal-meaning"):
            yield measure, {**ratio([], []), "reason": "too-few-prompts"}
        return
    longer = both[language].sum() / both[base].sum()
    cost = (of("tokens_per_character", language) / of("tokens_per_character", base) * longer).dropna()
    one = pd.Series(1.0, index=cost.index)
    yield "token-cost", ratio([cost], [one])
    yield "equal-meaning", ratio([seconds(language, tokens * cost)], [seconds(base, tokens)])
