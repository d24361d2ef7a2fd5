"""The decision table: a reader's questions, each answered with its interval or with what would decide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from serving_study.analysis.capacity import Users, users
from serving_study.analysis.compared import word
from serving_study.analysis.contrasts import Blocks
from serving_study.analysis.estimates import LEVEL, mean_over_lives
from serving_study.analysis.facts import rows
from serving_study.analysis.languages import base_language
from serving_study.study.types import Deployment, Study

GIGABYTE = 1e9
MILLION = 1e6
Answer = dict[str, Any]
_EMPTY: Answer = {
    "deployment": "",
    "model": "all",
    "language": "all",
    "against": "",
    "winner": None,
    "value": None,
    "low": None,
    "high": None,
    "level": LEVEL,
    "unit": "1",
    "lives": 0,
    "reason": None,
    "next_step": None,
    "next_lives": None,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What decisions rest on."""

    study: Study
    points: pd.DataFrame
    """Those that may be compared."""
    pairs: pd.DataFrame
    capacity: pd.DataFrame
    languages: pd.DataFrame
    engine_memory: Mapping[tuple[str, str], float]
    """(deployment, model) to bytes of its KV cache, where the engine tells."""
    engine_tokens: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(deployment, model) to the tokens that fit there, where the engine tells; else those of its slots."""


def decision_rows(e: Evidence) -> Iterator[Answer]:
    """Rows of ``answers.DECISIONS``; a question without an answer says what would give one."""
    questions = (
        ("slo", _slo, "slo"),
        ("users", _users, "slo"),
        ("cost", _cost, "price"),
        ("kv-tokens", _kv_tokens, "engine-tells"),
        ("language", _language, "another-language"),
        ("weights", _weights, "other-weights"),
        ("version", _version, "another-version"),
    )
    for question, answer, otherwise in questions:
        found = list(answer(e))
        for row in found:
            yield _EMPTY | {"question": question} | row
        if not found:
            nothing = {"case": "all", "verdict": "not-decided", "reason": "not-measured", "next_step": otherwise}
            yield _EMPTY | {"question": question} | nothing


def _users(e: Evidence) -> Iterator[Answer]:
    for slo in e.study.slos:
        for deployment in e.study.deployments:
            found = users(e.study, e.capacity, slo, deployment)
            if found is not None:
                yield {"case": slo, "deployment": deployment, "unit": "request", **_of_users(found)}


def _of_users(found: Users) -> Answer:
    row: Answer = {"value": found.kept, "low": found.kept, "high": found.missed, "lives": found.lives}
    if found.lives < 2:
        return row | {"value": None, "low": None, "high": None} | _open("one-life", "more-lives")
    if found.undecided:
        return row | {"value": None} | _open(_why_undecided(found), "more-lives")
    if found.missed is None:
        return row | {"verdict": "at-least", "next_step": "more-load"}
    if found.kept == 0:
        return row | {"verdict": "none", "next_step": "less-load"}
    return row | {"verdict": "answered"}


def _why_undecided(*found: Users) -> str:
    return "interval-spans-target" if all(u.whole for u in found) else "cells-left-out"


def _slo(e: Evidence) -> Iterator[Answer]:
    """The deployment that carries more users than any rival, if even its least is more than their most."""
    for slo in e.study.slos:
        found = {d: u for d in e.study.deployments if (u := users(e.study, e.capacity, slo, d)) is not None}
        if not found:
            continue
        row: Answer = {"case": slo, "unit": "request", "lives": min(u.lives for u in found.values())}
        best = max(found, key=lambda d: found[d].kept)
        beaten = [
            u.missed is not None and u.missed <= found[best].kept and not u.undecided
            for d, u in found.items()
            if d != best
        ]
        if len(found) < 2:
            yield row | _open("no-rival", "add-deployment")
        elif row["lives"] < 2:
            yield row | _open("one-life", "more-lives")
        elif len({_weights_of(e, d) for d in found}) > 1:
            yield row | _open("unequal-weights", "other-weights")
        elif all(beaten):
            kept = found[best]
            yield row | {
                "verdict": "champion",
                "winner": best,
                "value": kept.kept,
                "low": kept.kept,
                "high": kept.missed,
            }
        elif all(u.kept == 0 and not u.undecided for u in found.values()):
            yield row | _open("none-keeps-slo", "less-load")
        elif any(u.undecided for u in found.values()):
            yield row | _open(_why_undecided(*found.values()), "more-lives")
        elif any(u.missed is None for u in found.values()):
            yield row | _open("load-too-low", "more-load")
        else:
            yield row | _open("equal-steps", "loads-between")


def _weights_of(e: Evidence, deployment: str) -> tuple[tuple[str, str], ...]:
    d = e.study.deployments[deployment]
    return tuple(sorted((m, d.weights or e.study.models[m].weights) for m in d.models))


def _cost(e: Evidence) -> Iterator[Answer]:
    """Mean over the mix of the price of a million output tokens, at each load."""
    price = e.study.usd_per_hour
    if price is None:
        return
    values = Blocks(e.points)
    for workload in e.study.workloads:
        for deployment in e.study.deployments:
            speed = values.mix("output_throughput", deployment, workload)
            if not speed.size:
                continue
            found = mean_over_lives(np.asarray((price / 3600 / speed * MILLION).mean(axis=0)))
            yield {
                "case": workload,
                "deployment": deployment,
                "verdict": "answered",
                "unit": "USD",
                "lives": speed.shape[1],
                **{k: found[k] for k in ("value", "low", "high", "reason")},
                "next_step": "more-lives" if found["reason"] == "one-life" else None,
            }


def _kv_tokens(e: Evidence) -> Iterator[Answer]:
    """Tokens of context for which the engine set aside a GB of KV cache, as configured; told by the engine once."""
    for (deployment, model), size in sorted(e.engine_memory.items()):
        d = e.study.deployments[deployment]
        if size > 0 and not d.memory_share:
            value = e.engine_tokens.get((deployment, model), d.slots * d.context) / size * GIGABYTE
            yield {
                "case": "gigabyte",
                "deployment": deployment,
                "model": model,
                "verdict": "answered",
                "value": value,
                "unit": "token",
                "lives": 1,
                "reason": "one-life",
            }


def _language(e: Evidence) -> Iterator[Answer]:
    """Time and tokens of the same content against the base language, under the lightest load."""
    table = e.languages
    base = base_language(e.study.languages)
    lightest = {d: own["workload"].iloc[0] for d, own in _by_load(e, table).groupby("deployment")}
    for row in rows(table[table["measure"].isin(["equal-meaning", "token-cost"])]):
        if row["workload"] == lightest[row["deployment"]]:
            decided = row["low"] is not None and not np.isnan(row["low"]) and not row["low"] <= 1 <= row["high"]
            answer: Answer = {"verdict": "answered" if decided else "no-clear-difference"}
            if row["reason"]:
                answer = _open(row["reason"], _LANGUAGE_STEPS.get(row["reason"], "another-language"))
            kept = {k: row[k] for k in ("deployment", "model", "language", "value", "low", "high", "lives")}
            yield {**kept, **answer, "case": row["measure"], "against": base}


_LANGUAGE_STEPS = {"one-life": "more-lives", "too-few-prompts": "more-requests", "not-measured": "more-requests"}


def _by_load(e: Evidence, table: pd.DataFrame) -> pd.DataFrame:
    loads = {w: (load.together, load.concurrency or 0, load.rate or 0) for w, load in e.study.workloads.items()}
    order = {w: i for i, w in enumerate(sorted(loads, key=lambda w: (loads[w], w)))}
    return table.assign(order=table["workload"].map(order)).sort_values("order", kind="stable")


OF_WEIGHTS = ("dtype", "quantization")
"""Options of servers that choose the type of the weights: deployments that differ in them differ in nothing else."""


def _weights(e: Evidence) -> Iterator[Answer]:
    """Deployments that differ in the type of their weights; what the type costs in quality is not measured.

    Where they differ in more than that, nobody knows what made the difference.
    """
    found, unlike = [], set()
    for row in _headlines(e):
        a, b = (dict(_weights_of(e, row[side])) for side in ("a", "b"))
        if all(a[m] == b[m] for m in a.keys() & b.keys()):
            continue
        also = _differ_also(e.study.deployments[row["a"]], e.study.deployments[row["b"]])
        if also is None:
            found.append(_of_pair(row) | {"reason": row["reason"] or "quality-not-measured"})
        else:
            unlike.add(also)
    yield from found
    if unlike and not found:
        yield {"case": "all"} | _open(min(unlike), "other-weights")


def _differ_also(a: Deployment, b: Deployment) -> str | None:
    """What two deployments differ in beside the type of their weights: their engine, or a setting; None: nothing."""
    if (a.engine, a.version) != (b.engine, b.version):
        return "engine-differs"
    return None if _without_weights(a) == _without_weights(b) else "settings-differ"


def _without_weights(d: Deployment) -> dict[str, Any]:
    rest = d.model_dump(exclude={"weights", "port"})
    for options in (rest["options"], *rest["model_options"].values()):
        for name in OF_WEIGHTS:
            options.pop(name, None)
    return rest


def _version(e: Evidence) -> Iterator[Answer]:
    """Deployments that differ in nothing but the version of their engine."""
    for row in _headlines(e):
        a, b = (e.study.deployments[row[side]].model_dump(exclude={"version", "port"}) for side in ("a", "b"))
        if a == b and e.study.deployments[row["a"]].version != e.study.deployments[row["b"]].version:
            yield _of_pair(row)


def _headlines(e: Evidence) -> Iterator[dict[Any, Any]]:
    yield from rows(e.pairs[e.pairs["scope"] == "headline"])


def _of_pair(row: Mapping[Any, Any]) -> Answer:
    needed = row["lives_needed"]
    decided = row["verdict"] in ("better", "worse")
    claimed = not pd.isna(row["simultaneous_low"])
    return {
        "case": row["metric"],
        "deployment": row["a"],
        "against": row["b"],
        "verdict": word(row["metric"], row["verdict"]),
        "winner": None if not decided else row["a"] if row["verdict"] == "better" else row["b"],
        "value": row["ratio"],
        **{k: row[f"simultaneous_{k}" if claimed else k] for k in ("low", "high", "level")},
        "lives": row["lives"],
        "reason": row["reason"],
        "next_step": None if decided else "more-lives",
        "next_lives": None if pd.isna(needed) else int(needed),
    }


def _open(reason: str, next_step: str) -> Answer:
    return {"verdict": "not-decided", "reason": reason, "next_step": next_step}
