"""Codes of a point that only other deployments or other lives can give: prompts of other tokens, a drift over lives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson
import pandas as pd

from serving_study.analysis.collect import Key, Measured
from serving_study.metrics.codes import CODES
from serving_study.metrics.validity import fatal

Place = tuple[Key, str, str]
"""A point in one life: deployment, language and replicate; model; workload."""
Found = Mapping[Place, Mapping[str, str]]
"""Points to their codes, each with the reason."""
_SAME = ["language", "replicate", "model", "workload", "position", "prompt", "prompt_chars"]
"""What makes two requests the same: with the same position in its point a prompt has the same nonce."""
_POINT = ["deployment", "language", "replicate", "model", "workload"]


def asked_alike(cells: Sequence[Measured]) -> list[Measured]:
    """The cells, with TOKEN_MISMATCH where the same prompt took other numbers of tokens than with other deployments."""
    return with_codes(cells, dict(_mismatches(_prompts(cells))))


def drifting(cells: Sequence[Measured], steadiness: pd.DataFrame) -> list[Measured]:
    """The cells, with NOT_STEADY in every life of a point that drifts over its lives; ``steadiness`` is that table."""
    moved = {
        (str(row["deployment"]), str(row["language"]), str(row["model"]), str(row["workload"])): (
            f"throughput drifted by {math.expm1(row['drift']):+.1%} on average over {row['lives']} lives; "
            f"the limit is {row['limit']:.1%}"
        )
        for row in steadiness[steadiness["steady"] == False].to_dict("records")  # noqa: E712 - null is not judged
    }
    found: dict[Place, dict[str, str]] = {}
    for m in cells:
        for model, workload in set(zip(m.points["model"].astype(str), m.points["workload"].astype(str), strict=True)):
            reason = moved.get((m.cell.deployment, m.cell.language, model, workload))
            if reason:
                found[m.key, model, workload] = {"NOT_STEADY": reason}
    return with_codes(cells, found)


def with_codes(cells: Iterable[Measured], found: Found) -> list[Measured]:
    """The cells, each point with the further codes that were found; a second reason of one code stands behind the first."""
    by_cell: dict[Key, dict[tuple[str, str], Mapping[str, str]]] = {}
    for (key, model, workload), codes in found.items():
        by_cell.setdefault(key, {})[model, workload] = codes
    return [replace(m, points=_marked(m.points, by_cell[m.key])) if m.key in by_cell else m for m in cells]


def _marked(points: pd.DataFrame, found: Mapping[tuple[str, str], Mapping[str, str]]) -> pd.DataFrame:
    marked = points.assign(codes=points["codes"].astype(str), reasons=points["reasons"].astype(str))
    for (model, workload), more in found.items():
        here = (marked["model"] == model) & (marked["workload"] == workload)
        for said in marked.loc[here, "reasons"].unique():
            codes: dict[str, str] = orjson.loads(said)
            for code, reason in more.items():
                codes[code] = f"{codes[code]}; {reason}" if code in codes else reason
            codes = {code: codes[code] for code in sorted(codes, key=_rank)}
            rows = here & (marked["reasons"] == said)
            marked.loc[rows, ["codes", "reasons"]] = [",".join(codes), orjson.dumps(codes).decode()]
            marked.loc[rows, "fatal"] = fatal(codes)
    return marked


def _rank(code: str) -> tuple[int, str]:
    return (list(CODES).index(code) if code in CODES else len(CODES)), code


def _prompts(cells: Sequence[Measured]) -> pd.DataFrame:
    """One row a request whose server counted its prompt: what was asked, and how many tokens it took."""
    columns = ["model", "workload", "prompt", "prompt_chars", "request", "prompt_tokens"]
    frames = []
    for m in cells:
        own = m.requests[columns].astype({"model": str, "workload": str, "prompt": str})
        position = own["request"] - own.groupby(["model", "workload"])["request"].transform("min")
        deployment, language, replicate = m.key
        frames.append(own.assign(position=position, deployment=deployment, language=language, replicate=replicate))
    return pd.concat(frames, ignore_index=True).dropna(subset=["prompt_tokens", "prompt_chars"])


def _mismatches(asked: pd.DataFrame) -> Iterator[tuple[Place, dict[str, str]]]:
    """Points whose prompts took other tokens than the same prompts with most deployments; with no most, all of them."""
    shared = asked[asked.groupby(_SAME)["deployment"].transform("nunique") > 1]
    unlike = shared[shared.groupby(_SAME)["prompt_tokens"].transform("nunique") > 1]
    if unlike.empty:
        return
    odd = unlike.merge(_most(unlike), on=_SAME, how="left")
    odd = odd[odd["prompt_tokens"] != odd["most"]].sort_values([*_POINT, "position"])
    there = odd.drop_duplicates(_POINT).merge(unlike, on=_SAME, suffixes=("", "_there"))
    there = there[there["prompt_tokens_there"] != there["prompt_tokens"]]
    there = there.assign(rare=there["prompt_tokens_there"] != there["most"]).sort_values(["rare", "deployment_there"])
    count, compared = odd.groupby(_POINT).size(), shared.groupby(_POINT).size()
    for row in there.drop_duplicates(_POINT).sort_values(_POINT).to_dict("records"):
        point = tuple(row[k] for k in _POINT)
        reason = (
            f"{count[point]} of {compared[point]} prompts took another number of tokens than with other deployments: "
            f"{row['prompt']} took {row['prompt_tokens']:.0f}, with {row['deployment_there']} {row['prompt_tokens_there']:.0f}"
        )
        key = (str(row["deployment"]), str(row["language"]), int(row["replicate"]))
        yield (key, str(row["model"]), str(row["workload"])), {"TOKEN_MISMATCH": reason}


def _most(unlike: pd.DataFrame) -> pd.DataFrame:
    """Tokens that a prompt took with more deployments than any other number, where there is such a number."""
    votes = unlike.groupby([*_SAME, "prompt_tokens"]).size().rename("votes").reset_index()
    top = votes[votes["votes"] == votes.groupby(_SAME)["votes"].transform("max")]
    sole = top[top.groupby(_SAME)["votes"].transform("size") == 1]
    return sole[[*_SAME, "prompt_tokens"]].rename(columns={"prompt_tokens": "most"})
