"""Tables that answer a reader's questions: languages, interference, capacity, decisions, recommendations, claims."""

from __future__ import annotations

from serving_study.analysis.columns import (
    DEPLOYMENT,
    LANGUAGE,
    LEVEL,
    METRIC,
    MODEL,
    REASON,
    UNIT,
    WORKLOAD,
    integer,
    number,
    text,
)
from serving_study.analysis.table import Column, TableKind

LANGUAGES = TableKind(
    "languages",
    "one language against the base language, or its own derived speed",
    ("measure", "deployment", "model", "workload", "language"),
    (
        text(
            "measure",
            "token-cost: tokens that the same content takes; equal-meaning: time of an answer of the same content; "
            "equal-tokens: time of an answer of the same number of tokens; answer-length: tokens of the answers given "
            "(no measure of speed); derived-characters: output tokens/s over the prompts' tokens per character",
        ),
        DEPLOYMENT,
        MODEL,
        WORKLOAD,
        LANGUAGE,
        text("base", "language that it is compared with; empty for derived-characters"),
        number("value", "see unit", "ratio to the base language, or the derived speed; geometric mean over blocks"),
        number("low", "see unit", "lower end of the interval over blocks, for each row alone"),
        number("high", "see unit", "upper end of the interval over blocks"),
        number("level", "1", "confidence level"),
        text("unit", "1 for a ratio, character/s"),
        integer("lives", "1", "blocks in which both languages have a valid value"),
        text("reason", "why there is no value or interval: not-measured, one-life, too-few-prompts", nullable=True),
    ),
)
INTERFERENCE = TableKind(
    "interference",
    "one model under load together with the others, against the same load on it with the others idle or away",
    ("metric", "deployment", "model", "language", "workload", "against"),
    (
        text("metric", "metric of the ratio; fairness: Jain's index of the models' slowdown, 1 when all suffer alike"),
        DEPLOYMENT,
        text("model", "model; * for fairness"),
        LANGUAGE,
        text("workload", "workload that loads all models together"),
        text("against", "others-idle: same life, one model loaded; alone: a deployment of this model only"),
        text("reference", "workload (others-idle) or deployment (alone) that it is compared with"),
        number("value", "1", "together divided by reference, geometric mean over blocks; fairness: mean over blocks"),
        number("low", "1", "lower end of the interval over blocks, for each row alone"),
        number("high", "1", "upper end of the interval over blocks"),
        number("level", "1", "confidence level"),
        integer("lives", "1", "blocks in which both have a valid value"),
        text("reason", "why there is no value or interval: not-measured, one-life, no-spread", nullable=True),
    ),
)
STEADINESS = TableKind(
    "steadiness",
    "one point: does its throughput drift, over all lives",
    ("deployment", "model", "language", "workload"),
    (
        DEPLOYMENT,
        MODEL,
        LANGUAGE,
        WORKLOAD,
        number("drift", "1", "log(second half / first half) of throughput after the first quarter, mean over lives"),
        number("limit", "1", "most that counts as steady"),
        Column(
            "steady",
            "truth",
            "1",
            "the mean drift keeps the limit; false is NOT_STEADY; null: not judged",
            nullable=True,
        ),
        integer("lives", "1", "lives behind the mean"),
        text(
            "reason",
            "why it was not judged: too-few-requests, too-noisy or no-data in most lives, or few-lives",
            nullable=True,
        ),
    ),
)
MIX = TableKind(
    "mix",
    "one metric of one deployment over all of its cells",
    ("metric", "workload", "deployment"),
    (
        DEPLOYMENT,
        text("workload", "workload, or all"),
        METRIC,
        number("value", "see unit", "geometric mean over models and languages in each block, then over blocks"),
        number("low", "see unit", "lower end of the t interval over blocks; of this row alone"),
        number("high", "see unit", "upper end of the t interval over blocks"),
        LEVEL,
        UNIT,
        integer("lives", "1", "blocks in which every cell has a valid value"),
        integer("cells", "1", "models x languages x workloads in the mean"),
        REASON,
    ),
)
CAPACITY = TableKind(
    "capacity",
    "one deployment under one load: does the whole mix keep an objective",
    ("slo", "deployment", "workload"),
    (
        text("slo", "objective of the study"),
        DEPLOYMENT,
        WORKLOAD,
        number("load", "see unit", "concurrent users (closed loop) or requests a second (open loop)"),
        text("unit", "request: concurrent users; 1/s: requests a second"),
        number("attainment", "1", "share of requests that kept the objective, in the worst cell of the mix"),
        number("low", "1", "lower end: the lower of the t interval over lives and Clopper and Pearson's over requests"),
        number("high", "1", "upper end, adjusted for the number of cells"),
        LEVEL,
        number("target", "1", "share that the objective asks for"),
        text("model", "model of the worst cell"),
        text("language", "language of the worst cell"),
        integer("cells", "1", "models x languages that were judged"),
        integer("lives", "1", "fewest lives of a cell"),
        text(
            "verdict",
            "kept: every cell's interval lies above the target; missed: one lies below it; undecided: neither, or cells were left out",
        ),
    ),
)
DECISIONS = TableKind(
    "decisions",
    "one answer to one of the reader's questions",
    ("question", "case", "deployment", "model", "language", "against"),
    (
        text(
            "question",
            "slo: which deployment for my mix at my objective; users: how many users one machine serves; cost: of a "
            "million output tokens; kv-tokens: that fit in a GB (10^9 bytes); language: cost against the base language; "
            "weights: one type of weights against another; version: one version of an engine against another",
        ),
        text("case", "objective, workload, metric or measure that the answer is for"),
        text("deployment", "deployment that the answer is about; empty for an answer about all"),
        text("model", "model, or all"),
        text("language", "language, or all"),
        text("against", "what it is compared with; empty without"),
        text(
            "verdict",
            "answered, champion, faster, slower, less, more, no-clear-winner, no-clear-difference, at-least, none or not-decided",
        ),
        text("winner", "deployment that is named; null without one", nullable=True),
        number("value", "see unit", "the deciding number"),
        number("low", "see unit", "lower end of its interval; users: most that keep the objective"),
        number("high", "see unit", "upper end of its interval; users: fewest that miss it; null: not reached"),
        LEVEL,
        UNIT,
        integer("lives", "1", "lives behind the answer"),
        REASON,
        text(
            "next_step",
            "what would decide it: more-lives, more-load, less-load, loads-between, add-deployment, price, slo, another-language, "
            "more-requests, load-together, "
            "another-version, other-weights, engine-tells; null when decided",
            nullable=True,
        ),
        integer("next_lives", "1", "lives that would decide it; null when lives would not", nullable=True),
    ),
)
RECOMMENDATIONS = TableKind(
    "recommendations",
    "one use case among deployments with the same type of weights",
    ("use_case", "weights"),
    (
        text("use_case", "use case of the study"),
        text("weights", "model:type of the weights of the candidates"),
        text("slo", "objective that a candidate has to keep; empty without"),
        text("workload", "workload that it is judged under, or all"),
        text("verdict", "recommended or not-decided"),
        text("winner", "deployment that is recommended; null without one", nullable=True),
        text("leader", "candidate with the best score, decided or not", nullable=True),
        text("runner_up", "candidate with the next best score", nullable=True),
        number("score", "1", "weighted geometric mean of ratios, leader against runner-up: above 1 is better"),
        number("low", "1", "lower end of the interval of the score that agrees with the verdict"),
        number("high", "1", "upper end of that interval"),
        LEVEL,
        number("p_holm", "1", "largest p-value of the leader against a candidate, after Holm over the use cases"),
        integer("lives", "1", "blocks behind the score"),
        text("candidates", "deployments that were considered, comma-joined"),
        text("excluded", "deployments left out as deployment:why, comma-joined; why: slo-missed or slo-undecided"),
        text(
            "flip_metric",
            "metric whose weight would change the leader with the least change; null if none",
            nullable=True,
        ),
        number("flip_weight", "1", "weight of that metric at which the runner-up draws level"),
        REASON,
        text("next_step", "what would decide it, as in decisions, or measure:METRIC", nullable=True),
        integer("next_lives", "1", "lives that would decide it; null when lives would not", nullable=True),
    ),
)
SCORES = TableKind(
    "scores",
    "one metric of one candidate for one use case: the numbers that decided it",
    ("use_case", "metric", "deployment"),
    (
        text("use_case", "use case of the study"),
        METRIC,
        DEPLOYMENT,
        number("weight", "1", "weight of the metric in the use case"),
        number("value", "see unit", "geometric mean over the mix, as in the table mix"),
        number("low", "see unit", "lower end of its interval"),
        number("high", "see unit", "upper end of its interval"),
        LEVEL,
        UNIT,
        integer("lives", "1", "blocks behind the value"),
    ),
)
CLAIMS = TableKind(
    "claims",
    "one published number beside what was measured with one deployment under one load",
    ("claim", "deployment", "workload"),
    (
        text("claim", "id of the claim in its file"),
        text("deployment", "deployment that it is held against, or two as a/b; empty when there is none"),
        text(
            "workload", "load that it is held against, since none was stated; all: nothing compares, or no load matters"
        ),
        text("metric", "metric that is claimed, or recommendation"),
        text("engine", "engine, or two as a/b for a ratio; all"),
        text("model", "model, or all"),
        text("language", "language, or all"),
        number("claimed", "see unit", "the published number; a percentage is turned into a ratio"),
        text("printed", "the number as it was printed; empty for a recommendation"),
        text("named", "engine that was recommended; null for a number", nullable=True),
        UNIT,
        number("value", "see unit", "what was measured; null when nothing compares"),
        number("low", "see unit", "lower end of the measured interval"),
        number("high", "see unit", "upper end of the measured interval"),
        LEVEL,
        text("measured_name", "deployment that this study recommends; null without one", nullable=True),
        integer("lives", "1", "lives behind the measured value"),
        text("verdict", "agrees: the claim, as exact as printed, reaches into the interval; differs; not-comparable"),
        text(
            "reason",
            "why it is not comparable: no-metric, engine-not-measured, model-not-measured, language-not-measured, "
            "model-not-stated, other-hardware, reserved-against-used, other-weights, early-stop, not-measured, "
            "not-decided, no-spread or one-life",
            nullable=True,
        ),
    ),
)
CONTRADICTIONS = TableKind(
    "contradictions",
    "one place where published numbers contradict each other, computed from the claims file",
    ("check", "about"),
    (
        text(
            "check",
            "same-quantity: one quantity has several values; whole-outside-parts: a whole lies outside the range of its "
            "languages; mean-of-languages: a value is the plain mean of rows of different lengths; sum: parts do not add up; "
            "share: a percentage is not that of its numbers; ratio: a stated ratio is not that of its numbers; "
            "stated-ratios: two stated ratios of one pair differ; quantile: a mean lies above the 95th percentile; "
            "best: two are called the best; by-length: fastest only because its answers were shortest; "
            "unlike: unlike things are compared",
        ),
        text("about", "whose numbers of which metric, as they were printed"),
        text("claims", "ids of the claims, comma-joined"),
        number("first", "see unit", "the published number; by-length: tokens of its answers"),
        text("unit", "unit of the first number"),
        number("second", "see second_unit", "the number that contradicts it; by-length: tokens/s; unlike: null"),
        text("second_unit", "unit of the second number"),
    ),
)
ANSWERS = (
    LANGUAGES, INTERFERENCE, STEADINESS, MIX, CAPACITY, DECISIONS, RECOMMENDATIONS, SCORES, CLAIMS, CONTRADICTIONS,
)  # fmt: skip
