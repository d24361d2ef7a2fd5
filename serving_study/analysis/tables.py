"""The tables of a study: each column with its type, unit and definition; docs/tables.md is generated from here."""

from __future__ import annotations

from serving_study.analysis.answers import ANSWERS
from serving_study.analysis.columns import (
    BETTER,
    BLOCK,
    DEPLOYMENT,
    ENGINE,
    LANGUAGE,
    LIFE,
    METRIC,
    MODEL,
    REPLICATE,
    SUBJECT,
    UNIT,
    WORKLOAD,
    integer,
    number,
    text,
)  # fmt: skip
from serving_study.analysis.table import Column, TableKind

POINTS = TableKind(
    "points",
    "one metric of one point in one life",
    ("metric", "deployment", "model", "language", "workload", "block", "life"),
    (
        text("study", "study that it was measured for"),
        DEPLOYMENT,
        ENGINE,
        LANGUAGE,
        REPLICATE,
        LIFE,
        BLOCK,
        text("host", "hash that tells the measuring machines apart"),
        MODEL,
        WORKLOAD,
        METRIC,
        number("value", "see unit", "the life's value; null where there is none"),
        UNIT,
        BETTER,
        integer("n", "request", "requests (or readings) behind the value"),
        integer("needs", "request", "fewest requests at which the value may be shown"),
        text("codes", "validity codes of the point, comma-joined; empty when it is clean"),
        Column("fatal", "truth", "1", "a code forbids comparing: the point is shown and left out"),
        text("reason", "why there is no value", nullable=True),
        text("weights", "type of the model's weights in this deployment; empty for a value of the whole deployment"),
        Column("reserves", "truth", "1", "the engine reserves a share of the memory, used or not"),
    ),
)
CELLS = TableKind(
    "cells",
    "one benchmark: a deployment in one language and replicate",
    ("deployment", "language", "replicate"),
    (
        DEPLOYMENT,
        ENGINE,
        LANGUAGE,
        REPLICATE,
        LIFE,
        BLOCK,
        text("host", "hash that tells the measuring machines apart"),
        text("started", "UTC time at which measuring began, ISO 8601"),
        number("seconds", "s", "from the first clock reading of the cell to the last"),
        integer("requests", "request", "requests sent, warm-up left out"),
        integer("chunks", "chunk", "pieces of the answers that arrived together"),
        text("codes", "validity codes of the cell, comma-joined"),
        text("reasons", "what was seen, by code"),
        text("commit", "commit of the measuring code", nullable=True),
    ),
)
REQUESTS = TableKind(
    "requests_summary",
    "one point over all of its lives",
    ("deployment", "model", "language", "workload"),
    (
        DEPLOYMENT,
        MODEL,
        LANGUAGE,
        WORKLOAD,
        integer("lives", "1", "server lives it was measured in"),
        integer("requests", "request", "requests sent"),
        integer("measured", "request", "requests inside the measuring window"),
        integer("succeeded", "request", "requests answered completely and without an error"),
        integer("early_stops", "request", "answers that ended before the length that was asked for"),
        integer("other_language", "request", "answers not in the language of the prompt"),
        integer("output_tokens", "token", "tokens that were generated, by the server's count"),
        integer("chunks", "chunk", "pieces that the answers arrived in"),
    ),
)
ESTIMATES = TableKind(
    "estimates",
    "one metric of one point, over its lives",
    ("metric", "deployment", "model", "language", "workload"),
    (
        DEPLOYMENT,
        ENGINE,
        MODEL,
        LANGUAGE,
        WORKLOAD,
        METRIC,
        number("value", "see unit", "mean over lives: of logarithms (geometric) or of the values, see method"),
        number("low", "see unit", "lower end of the t interval over lives; null with fewer than two lives"),
        number("high", "see unit", "upper end of the t interval over lives"),
        number("level", "1", "confidence level of the interval, for each row alone (not adjusted for many rows)"),
        UNIT,
        integer("lives", "1", "valid lives behind the value"),
        integer("lives_left_out", "1", "lives left out: fatal validity code, no value, or too few requests"),
        integer("n", "request", "requests behind the value, all lives together"),
        integer("needs", "request", "fewest requests of each life at which the value may be shown"),
        number("cv", "1", "standard deviation over lives, divided by the mean"),
        text("method", "log: mean of logarithms; plain: mean of the values; alone: a single life"),
        text(
            "reason",
            "why value or interval is missing: too-few-requests, invalid, other-language, one-life, no-spread, "
            "or the reason that the lives gave",
            nullable=True,
        ),
    ),
)
PAIRS = TableKind(
    "pairs",
    "two deployments in one metric, in one cell or over all",
    ("scope", "metric", "model", "language", "workload", "a", "b"),
    (
        *SUBJECT,
        BETTER,
        text("a", "first deployment"),
        text("b", "second deployment"),
        number("ratio", "1", "value of a divided by value of b, from values of the same block"),
        number("low", "1", "lower end of the interval of the ratio, for each row alone"),
        number("high", "1", "upper end of the interval of the ratio, for each row alone"),
        number("level", "1", "confidence level of low and high"),
        number("simultaneous_low", "1", "lower end of the interval that agrees with the verdict over the whole family"),
        number("simultaneous_high", "1", "upper end of the interval that agrees with the verdict"),
        number(
            "simultaneous_level", "1", "level of the simultaneous interval: 1 less this claim's share of the budget"
        ),
        number("p", "1", "two-sided p-value of 'no difference', for this row alone"),
        number("p_holm", "1", "p-value after Holm over the family; null where nothing is claimed"),
        number("df", "1", "degrees of freedom: server lives, less the means taken from them"),
        integer("lives", "1", "blocks in which both have a valid value"),
        integer(
            "lives_needed",
            "1",
            "lives that would show a true ratio of this size with a power of .8; null when decided or beyond 99",
            nullable=True,
        ),
        Column("equal_weights", "truth", "1", "both deployments hold the weights in the same type"),
        text(
            "verdict",
            "of a against b: better, worse, no-clear-winner, not-decided, not-ranked or not-comparable",
        ),
        text(
            "reason",
            "why no more is said: one-life, few-lives, tail, described-only, reserved-against-used, or early-stop: answers "
            "ended before the tokens asked for, so that whole answers do not compare",
            nullable=True,
        ),
    ),
)
CHAMPIONS = TableKind(
    "champions",
    "one claim: which deployment beats every rival with the same type of weights",
    ("scope", "metric", "model", "language", "workload", "weights"),
    (
        *SUBJECT,
        text("weights", "type of weights of the rivals; as a headline model:type of each model"),
        text("winner", "deployment that beats every rival; null without one", nullable=True),
        text("leader", "deployment ahead of every rival, decided or not; never a winner by itself", nullable=True),
        text("rivals", "deployments that were measured here, comma-joined"),
        number("p", "1", "largest of the leader's p-values against its rivals"),
        number("p_holm", "1", "that p-value after Holm over the family"),
        integer("lives", "1", "fewest lives of a pair of rivals"),
        integer(
            "lives_needed", "1", "lives that would decide between all rivals; null when decided or beyond 99", True
        ),
        text("verdict", "champion, no-clear-winner, no-rival, not-decided, not-ranked or not-comparable"),
        text("reason", "why no more is said, as in pairs", nullable=True),
    ),
)
DEPLOYMENTS = TableKind(
    "deployments",
    "one deployment as it started once for real",
    ("deployment",),
    (
        DEPLOYMENT,
        ENGINE,
        text("title", "engine, as its makers write it"),
        text("version", "version of the engine that the study asks for"),
        text("versions", "what really ran, as name=version, comma-joined"),
        text("models", "models, comma-joined"),
        text("weights", "model:type of the weights in this deployment, comma-joined"),
        integer("servers", "1", "server processes"),
        integer("slots", "request", "requests that one model serves at a time, as asked"),
        integer("context", "token", "context of each slot, as asked"),
        number(
            "ready_after",
            "ns",
            "from start until every model had answered a real request; null where others started it",
        ),
        number("idle_memory", "byte", "memory of the idle servers together, as the kernel saw it (PSS)"),
        number("weights_memory", "byte", "weights, as the engine tells; null when it does not"),
        number("kv_capacity", "byte", "memory for the KV cache, as the engine tells; null when it does not"),
        text("processor", "processor of the machine"),
        integer("cores", "1", "logical cores of the machine"),
        integer("memory", "byte", "memory of the machine"),
        text("accelerators", "accelerators of the machine, comma-joined; empty without one"),
        text("system", "operating system"),
        text("compose", "docker-compose.yml that serves the same on official images; null where there is none", True),
        text("commands", "plain command lines of its servers, one a line", True),
        text("pull", "requests with which its servers fetch models from a library of their own, one a line", True),
        text("curl", "a request to each of its models, one a line", True),
    ),
)
LEDGER = TableKind(
    "ledger",
    "one setting of one server: asked for, and as it ran",
    ("deployment", "server", "name"),
    (
        DEPLOYMENT,
        text("server", "server that told; empty where the deployment has one"),
        text("name", "name of the setting"),
        text("asked", "value that the study asked for", nullable=True),
        text("ran", "value that the server says it runs with; null when it does not tell", nullable=True),
        text("source", "where the server said it"),
        text("status", "as-asked, differs, not-told or not-asked"),
        Column("equal", "truth", "1", "every deployment that tells this setting runs it with the same value"),
    ),
)
MEMORY = TableKind(
    "memory",
    "one reading of the memory profile",
    ("deployment", "server", "stage", "part"),
    (
        DEPLOYMENT,
        text("server", "server; empty for the deployment as a whole"),
        text("stage", "before, idle, the workload's name under load, peak or stopped"),
        text("part", "what was read: pss, rss, device, weights, kv_capacity, kv_used, compute ..."),
        number("value", "byte", "memory; described for one life, never ranked"),
        text("source", "who saw it: kernel, driver or engine"),
    ),
)
KV_CACHE = TableKind(
    "kv_cache",
    "one model of one deployment under one load: how much of its KV cache was in use at most",
    ("deployment", "model", "workload"),
    (
        DEPLOYMENT,
        MODEL,
        WORKLOAD,
        number(
            "share", "1", "largest share of the KV cache in use, as the engine counts it, over all languages and lives"
        ),
        number("capacity", "byte", "memory for the KV cache of the model's server, as the engine tells"),
        number("used", "byte", "share of the capacity; null where the engine does not tell one of them"),
        integer("lives", "1", "valid lives behind the share"),
        text("reason", "why there is no memory: not-told", nullable=True),
    ),
)
LOADING = TableKind(
    "loading",
    "one measure of loading a model on demand, or of starting its server anew where models are fixed at start",
    ("measure", "model", "deployment", "held"),
    (
        text(
            "measure",
            "cold-ttft, warm-ttft, turn-ttft (the models asked in turn), unload-time, memory-loaded, memory-back, start-time",
        ),
        MODEL,
        DEPLOYMENT,
        integer("held", "1", "models that the server may hold at once; 0: it has one model and was started anew"),
        number("value", "see unit", "median over the rounds of one life; described, never ranked"),
        number("least", "see unit", "smallest of the rounds"),
        number("most", "see unit", "largest of the rounds"),
        text("unit", "ns or byte"),
        integer("n", "1", "rounds"),
    ),
)
WARMUP = TableKind(
    "warmup",
    "one model of one deployment: how long until steady",
    ("deployment", "model"),
    (
        DEPLOYMENT,
        MODEL,
        integer("requests", "request", "requests sent until the steady state was seen, or until the limit"),
        Column("steady", "truth", "1", "the steady state was reached within the limit"),
        number("first", "ns", "duration of the first request"),
        number("later", "ns", "median duration of the later half"),
    ),
)
WARMUP_CURVE = TableKind(
    "warmup_curve",
    "one request of a warm-up",
    ("deployment", "model", "request"),
    (
        DEPLOYMENT,
        MODEL,
        integer("request", "1", "number of the request, from 1"),
        number("duration", "ns", "from send to last byte"),
    ),
)
VALIDITY = TableKind(
    "validity",
    "one validity code of one point in one life",
    ("deployment", "language", "replicate", "model", "workload", "code"),
    (
        DEPLOYMENT,
        LANGUAGE,
        REPLICATE,
        MODEL,
        WORKLOAD,
        text("code", "the code, see docs/metrics.md"),
        Column("fatal", "truth", "1", "the point was left out of every comparison"),
        text("reason", "what was seen", nullable=True),
    ),
)
TABLES = (
    POINTS, CELLS, REQUESTS, ESTIMATES, PAIRS, CHAMPIONS, DEPLOYMENTS, LEDGER, MEMORY, KV_CACHE, LOADING, WARMUP,
    WARMUP_CURVE, VALIDITY, *ANSWERS,
)  # fmt: skip
