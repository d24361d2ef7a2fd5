"""The words of the field, as messages for the catalogs: metrics, units of loads, languages, codes.

`N_` marks a message for extraction and leaves it as it is; `Writer` looks it up in the report's language.
"""

from __future__ import annotations

import re


def N_(message: str) -> str:  # noqa: N802
    """Mark a message for the catalogs."""
    return message


METRICS = {
    "output_throughput": N_("Output throughput"),
    "request_throughput": N_("Request throughput"),
    "character_throughput": N_("Character throughput"),
    "byte_throughput": N_("Byte throughput"),
    "ttft": N_("Time to first token (TTFT)"),
    "ttft_sent": N_("TTFT from the actual send"),
    "ttfe": N_("Time to first event"),
    "tpot": N_("Time per output token (TPOT)"),
    "e2e": N_("End-to-end latency"),
    "e2e_sent": N_("End-to-end latency from the actual send"),
    "inter_chunk": N_("Inter-chunk gap"),
    "send_lag": N_("Send lag"),
    "client_lag": N_("Client lag"),
    "success_rate": N_("Success rate"),
    "output_tokens": N_("Output tokens a request"),
    "prompt_tokens": N_("Prompt tokens a request"),
    "cached_tokens": N_("Cached tokens"),
    "early_stop_share": N_("Answers that stopped early"),
    "tokens_per_character": N_("Tokens per character"),
    "in_flight": N_("Requests in flight"),
    "drift": N_("Drift inside the window"),
    "littles_law": N_("Requests in flight against Little's law"),
    "device_memory_peak": N_("Peak memory of the accelerator"),
    "device_memory_idle": N_("Idle memory of the accelerator"),
    "memory_peak": N_("Peak memory"),
    "memory_idle": N_("Idle memory"),
    "kv_used_peak": N_("Peak KV cache use"),
    "client_cpu": N_("CPU of the client"),
    "fairness": N_("Fairness among the models (Jain's index)"),
}
"""Point metrics, without their statistic."""

OF_AN_OBJECTIVE = {"goodput": N_("Goodput under {slo}"), "attainment": N_("SLO attainment of {slo}")}

UNITS = {
    "request": (N_("{number} request"), N_("{number} requests")),
    "token": (N_("{number} token"), N_("{number} tokens")),
    "chunk": (N_("{number} chunk"), N_("{number} chunks")),
    "slot": (N_("{number} slot"), N_("{number} slots")),
    "core": (N_("{number} core"), N_("{number} cores")),
    "×": (N_("{number}×"), N_("{number}×")),
    "s": (N_("{number} s"), N_("{number} s")),
    "token/s": (N_("{number} token/s"), N_("{number} token/s")),
    "request/s": (N_("{number} request/s"), N_("{number} request/s")),
    "character/s": (N_("{number} character/s"), N_("{number} character/s")),
    "byte/s": (N_("{number} byte/s"), N_("{number} byte/s")),
    "token/character": (N_("{number} token/character"), N_("{number} token/character")),
}
"""Shown unit to how one of them and several of them are written; other units are symbols of every language."""

SHARES = ("success_rate", "early_stop_share", "kv_used_peak", "attainment_")
"""Metrics of unit 1 that lie between 0 and 1 and are read as percentages; names may go on after `_`."""

STATISTICS = {"mean": N_("mean"), "max": N_("maximum"), "p50": N_("median")}

LANGUAGES = {"en": N_("English"), "ko": N_("Korean"), "zh": N_("Chinese")}

_STATISTIC = re.compile(r"^(?P<base>.+)_(?P<statistic>mean|max|p\d+)$")


def split_metric(name: str) -> tuple[str, str]:
    """``ttft_p50`` is (``ttft``, ``p50``); ``success_rate`` is (``success_rate``, ````)."""
    found = _STATISTIC.match(name)
    return (found["base"], found["statistic"]) if found else (name, "")


COLUMNS = {
    "deployment": N_("Deployment"),
    "model": N_("Model"),
    "language": N_("Language"),
    "workload": N_("Load"),
    "metric": N_("Metric"),
    "a": N_("Deployment A"),
    "about": N_("About"),
    "against": N_("Against"),
    "amount": N_("Amount"),
    "answer": N_("Answer"),
    "attainment": N_("Worst attainment"),
    "among": N_("Among"),
    "b": N_("Deployment B"),
    "held": N_("Models held at most"),
    "case": N_("Measure"),
    "check": N_("Contradiction"),
    "claimed": N_("Published"),
    "code": N_("Code"),
    "consequence": N_("Consequence"),
    "context": N_("Context of a slot"),
    "title": N_("Engine"),
    "idle_memory": N_("Idle memory (PSS)"),
    "early_stops": N_("Stopped early"),
    "first": N_("First request"),
    "first_number": N_("One number"),
    "flip": N_("What would change it"),
    "interval": N_("Interval"),
    "later": N_("Later requests, median"),
    "measure": N_("Measure"),
    "measured": N_("Measured"),
    "level": N_("Level"),
    "name": N_("Setting"),
    "next_step": N_("What would decide it"),
    "other_language": N_("In another language"),
    "part": N_("Part"),
    "meaning": N_("Meaning"),
    "question": N_("Question"),
    "ratio": N_("Ratio A to B"),
    "ready_after": N_("Start-up time"),
    "recommended": N_("Recommended"),
    "requests": N_("Requests"),
    "score": N_("Score"),
    "second_number": N_("The other number"),
    "server": N_("Server"),
    "slo": N_("Objective (SLO)"),
    "slots": N_("Slots"),
    "stage": N_("Stage"),
    "succeeded": N_("Succeeded"),
    "target": N_("Target"),
    "times": N_("Times"),
    "use_case": N_("Use case"),
    "verdict": N_("Verdict"),
    "version": N_("Version"),
    "what": N_("What"),
    "worst_language": N_("Worst language"),
    "worst_model": N_("Worst model"),
}

SCALE = {
    "count/lives": N_("Server lives"),
    "count/cells": N_("Cells (a deployment in one language and replicate)"),
    "count/points": N_("Points (a model under one load in one cell)"),
    "count/requests": N_("Requests"),
    "count/requests-succeeded": N_("Requests answered without an error"),
    "count/output-tokens": N_("Generated tokens"),
    "count/chunks": N_("Chunks received"),
    "count/values": N_("Data points (values of metrics)"),
    "count/hosts": N_("Machines"),
    "count/seconds": N_("Time spent measuring"),
}

PARTS = {
    "pss": N_("Used, as the kernel saw it (PSS)"),
    "rss": N_("Resident (RSS)"),
    "reserved": N_("Reserved by the engine"),
    "device": N_("Used on the accelerator, as the driver saw it"),
    "weights": N_("Weights"),
    "weights_memory": N_("Weights"),
    "kv_capacity": N_("KV cache, capacity"),
    "kv_used": N_("KV cache, used"),
    "compute": N_("Compute buffers"),
    "output": N_("Output buffers"),
    "host": N_("Used on the whole machine"),
}

STAGES = {
    "before": N_("before the start"),
    "idle": N_("idle"),
    "peak": N_("peak"),
    "stopped": N_("after the stop"),
}

REASONS = {
    "too-few-requests": N_("too few requests"),
    "invalid": N_("not valid"),
    "no-value": N_("no value"),
    "no-data": N_("no data"),
    "no-usage": N_("the server counts no tokens"),
    "no-window": N_("no measuring window"),
    "not-reported": N_("not reported"),
    "other-language": N_("answered in another language"),
    "one-life": N_("one life only"),
    "no-spread": N_("no spread"),
    "few-lives": N_("too few lives"),
    "tail": N_("tail, overall only"),
    "described-only": N_("described, not ranked"),
    "reserved-against-used": N_("reserved and used memory cannot be compared"),
    "too-few-prompts": N_("too few prompts"),
    "not-measured": N_("not measured"),
    "not-decided": N_("not decided"),
    "interval-spans-target": N_("the interval spans the target"),
    "cells-left-out": N_("some models or languages were left out as not valid"),
    "no-rival": N_("no rival"),
    "no-clear-winner": N_("no clear winner"),
    "unequal-weights": N_("the weights differ"),
    "quality-not-measured": N_("quality was not measured"),
    "none-keeps-slo": N_("no deployment keeps the objective"),
    "only-one-keeps-slo": N_("only one deployment keeps the objective"),
    "slo-missed": N_("misses the objective"),
    "slo-undecided": N_("whether the objective is kept is not decided"),
    "load-too-low": N_("no load was heavy enough"),
    "equal-steps": N_("the loads measured do not tell them apart"),
    "no-metric": N_("this study has no such metric"),
    "engine-not-measured": N_("the engine was not measured"),
    "model-not-measured": N_("the model was not measured"),
    "language-not-measured": N_("the language was not measured"),
    "other-hardware": N_("other hardware"),
    "other-weights": N_("other weights"),
    "model-not-stated": N_("which model it was is not stated"),
    "engine-differs": N_("the engine or its version differs too"),
    "settings-differ": N_("other settings differ too"),
    "early-stop": N_("answers stopped before the length that was asked for"),
    "too-noisy": N_("too noisy"),
    "quality-unstated": N_("the type of the weights was not stated"),
    "not-told": N_("not told"),
    "unknown": N_("unknown"),
    "not-steady": N_("not steady"),
}
"""Why there is no value, no interval or no verdict."""

SHORT_VERDICTS = {
    "no-clear-winner": N_("no clear winner"),
    "no-rival": N_("no rival"),
    "not-decided": N_("not decided"),
    "not-ranked": N_("not ranked"),
    "not-comparable": N_("not comparable"),
}
"""Verdicts that name nobody, in a table's cell."""

DECIDED = {
    "faster": N_("{metric}: {better} is {times} as fast as {worse} ({level} interval {ci}, {lives} lives)."),
    "less": N_("{metric}: {worse} takes {times} as much as {better} ({level} interval {ci}, {lives} lives)."),
}
"""What a decided comparison says, seen from its winner: `slower` is `faster` and `more` is `less` the other way round."""
REVERSED = {"slower": "faster", "more": "less"}

UNDECIDED = {
    "no-clear-winner": N_(
        "{metric}: no clear winner between {a} and {b} (ratio {ratio}, {level} interval {ci}, {lives} lives)."
        " This is no evidence that they are equal."
    ),
    "not-decided": N_("{metric}: this study does not decide between {a} and {b} ({reason})."),
    "not-ranked": N_("{metric}: {a} and {b} are described and not ranked ({reason})."),
    "not-comparable": N_("{metric}: {a} and {b} cannot be compared ({reason})."),
}

CHAMPION_VERDICTS = {
    "champion": N_("{metric}: {winner} is ahead of every rival with the same type of weights."),
    "no-clear-winner": N_("{metric}: no clear winner. This is no evidence that the rivals are equal."),
    "no-rival": N_("{metric}: nothing to compare with."),
    "not-decided": N_("{metric}: not decided by this study ({reason})."),
    "not-ranked": N_("{metric}: described and not ranked ({reason})."),
    "not-comparable": N_("{metric}: not comparable ({reason})."),
}

LIVES_NEEDED = N_("About {needed} lives would show a difference of this size.")
