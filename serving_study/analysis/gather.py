"""Every table of a study from its measured and derived files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from serving_study.analysis import answers, tables
from serving_study.analysis.across import asked_alike, drifting
from serving_study.analysis.beside import Measured, claim_rows
from serving_study.analysis.capacity import capacity_rows
from serving_study.analysis.collect import cell_rows, left_out, points_of, read_cells, request_rows, validity_rows
from serving_study.analysis.compare import compare
from serving_study.analysis.contradicting import contradictions
from serving_study.analysis.decisions import Evidence, decision_rows
from serving_study.analysis.deployed import (
    Json,
    curve_rows,
    deployment_rows,
    kv_memory,
    kv_rows,
    kv_tokens,
    ledger_rows,
    memory_rows,
    records,
    reserving,
    warmup_rows,
)
from serving_study.analysis.estimates import estimates
from serving_study.analysis.interference import interference_rows
from serving_study.analysis.languages import language_rows
from serving_study.analysis.loading import loading_rows
from serving_study.analysis.mix import mix_rows
from serving_study.analysis.published import read_published
from serving_study.analysis.recommendations import recommendation_rows, score_rows
from serving_study.analysis.steadiness import steadiness_rows
from serving_study.analysis.table import TableKind
from serving_study.study.types import Study

Tables = dict[TableKind, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of all cells and deployments of a study."""

    cells: Sequence[Path]
    points: Sequence[Path]
    metrics: Sequence[Path]
    deploys: Sequence[Path]
    warmups: Sequence[Path]
    memory: Sequence[Path]
    loading: Sequence[Path] = ()
    claims: Path | None = None


def gather(study: Study, files: Files) -> Tables:
    """All tables. Raises StudyError if a file is missing or not what it should be."""
    deployed, warmed = records(files.deploys), records(files.warmups)
    cells = asked_alike(read_cells(files.cells, files.points, files.metrics))
    steadiness = answers.STEADINESS.frame(steadiness_rows(points_of(cells), study.limits.drift))
    cells = drifting(cells, steadiness)
    points = tables.POINTS.frame(points_of(cells, reserving(deployed)).to_dict("records"))
    why = left_out(points, study.slos)
    valid, short = points[why == ""], points[why == "early-stop"]
    requests = tables.REQUESTS.frame(request_rows(cells))
    pairs, champions = compare(valid, short=short)
    languages = answers.LANGUAGES.frame(language_rows(study, cells, valid))
    found = {
        tables.POINTS: points,
        tables.CELLS: tables.CELLS.frame(cell_rows(cells)),
        tables.REQUESTS: requests,
        tables.ESTIMATES: estimates(points, requests),
        tables.PAIRS: pairs,
        tables.CHAMPIONS: champions,
        tables.DEPLOYMENTS: tables.DEPLOYMENTS.frame(deployment_rows(deployed)),
        tables.LEDGER: tables.LEDGER.frame(ledger_rows(deployed)),
        tables.LOADING: tables.LOADING.frame(loading_rows(records(files.loading), deployed)),
        tables.MEMORY: tables.MEMORY.frame(memory_rows(files.memory)),
        tables.KV_CACHE: tables.KV_CACHE.frame(kv_rows(points[~points["fatal"]], kv_memory(deployed))),
        tables.WARMUP: tables.WARMUP.frame(warmup_rows(warmed)),
        tables.WARMUP_CURVE: tables.WARMUP_CURVE.frame(curve_rows(warmed)),
        tables.VALIDITY: tables.VALIDITY.frame(validity_rows(cells)),
        answers.LANGUAGES: languages,
        answers.INTERFERENCE: answers.INTERFERENCE.frame(interference_rows(study, valid)),
        answers.STEADINESS: steadiness,
    }
    accelerators = {r["deployment"]: ",".join(r["host"]["accelerators"]) for r in deployed}
    found |= _answers(study, valid, short, pairs, languages, deployed)
    recommended = found[answers.RECOMMENDATIONS]
    return found | _claims(Measured(study, valid, accelerators, recommended, short), files.claims)


def _answers(
    study: Study,
    valid: pd.DataFrame,
    short: pd.DataFrame,
    pairs: pd.DataFrame,
    languages: pd.DataFrame,
    deployed: Sequence[Json],
) -> Tables:
    mix = answers.MIX.frame(mix_rows(valid))
    capacity = answers.CAPACITY.frame(capacity_rows(study, valid))
    evidence = Evidence(study, valid, pairs, capacity, languages, kv_memory(deployed), kv_tokens(deployed))
    return {
        answers.MIX: mix,
        answers.CAPACITY: capacity,
        answers.DECISIONS: answers.DECISIONS.frame(decision_rows(evidence)),
        answers.RECOMMENDATIONS: answers.RECOMMENDATIONS.frame(recommendation_rows(study, valid, capacity, short)),
        answers.SCORES: answers.SCORES.frame(score_rows(study, valid)),
    }


def _claims(measured: Measured, file: Path | None) -> Tables:
    if file is None:
        return {kind: kind.frame(()) for kind in (answers.CLAIMS, answers.CONTRADICTIONS)}
    published = read_published(file)
    return {
        answers.CLAIMS: answers.CLAIMS.frame(claim_rows(published, measured)),
        answers.CONTRADICTIONS: answers.CONTRADICTIONS.frame(contradictions(published)),
    }
