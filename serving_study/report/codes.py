"""Codes of the study's answers, as messages for the catalogs: questions, verdicts, reasons, what would decide."""

from __future__ import annotations

from serving_study.report.words import N_

QUESTIONS = {
    "slo": N_("Which deployment carries the most users within the objective?"),
    "users": N_("How many users at a time stay within the objective?"),
    "cost": N_("What do a million output tokens cost?"),
    "kv-tokens": N_("How many tokens of KV cache fit in a gigabyte?"),
    "language": N_("What does another language cost?"),
    "weights": N_("Does another type of weights serve faster? (The quality of the answers was not measured.)"),
    "version": N_("Is another version faster?"),
}

ANSWERS = {
    "champion": N_("{winner}, {kept}"),
    "kept": N_("{kept} kept, missed from {missed}"),
    "at-least": N_("at least {kept}"),
    "none": N_("none"),
    "faster": N_("{a} is faster than {b}: {value}"),
    "slower": N_("{a} is slower than {b}: {value}"),
    "less": N_("{a} takes less than {b}: {value}"),
    "more": N_("{a} takes more than {b}: {value}"),
    "no-clear-winner": N_("no clear winner between {a} and {b}: {value}"),
    "not-decided": N_("not decided by this study ({reason})"),
}

NEXT_STEPS = {
    "more-lives": N_("more lives"),
    "more-load": N_("a heavier load"),
    "less-load": N_("a lighter load"),
    "loads-between": N_("loads in between"),
    "add-deployment": N_("another deployment to compare with"),
    "price": N_("a price of the machine in the study file"),
    "slo": N_("an objective in the study file"),
    "another-language": N_("another language"),
    "another-version": N_("another version of the engine"),
    "other-weights": N_("deployments with other weights"),
    "engine-tells": N_("an engine that tells the size of its KV cache"),
    "more-requests": N_("more requests a life"),
    "load-together": N_("a load on all models together"),
    "equal-lengths": N_("answers of the length that was asked for"),
}

MEASURES = {
    "token-cost": N_("Tokens for the same content"),
    "equal-meaning": N_("Time for the same content"),
    "equal-tokens": N_("Time for the same number of tokens"),
    "answer-length": N_("Length of the answers (no measure of speed)"),
    "derived-characters": N_("Characters each second, derived from tokens"),
}

LOADING = {
    "cold-ttft": N_("First token, model not loaded"),
    "warm-ttft": N_("First token, model loaded"),
    "turn-ttft": N_("First token, models asked in turn"),
    "unload-time": N_("Time to unload"),
    "memory-loaded": N_("Memory taken by loading"),
    "memory-back": N_("Memory given back by unloading"),
    "start-time": N_("Time to start the server anew"),
}

AGAINST = {
    "others-idle": N_("the other models idle"),
    "alone": N_("the model alone"),
}

USE_CASES = {
    "high-throughput-api": N_("High-throughput API"),
    "lowest-latency": N_("Lowest latency"),
    "memory-constrained": N_("Memory-constrained"),
    "development": N_("Development"),
    "production-multi-model": N_("Production with several models"),
    "single-model": N_("Single model"),
    "edge": N_("Edge"),
}

PUBLISHED = {
    "device_memory": N_("Memory of the accelerator"),
    "device_memory_share": N_("Share of the accelerator's memory"),
    "requests": N_("Requests"),
    "requests_succeeded": N_("Requests answered without an error"),
}
"""Metrics that are published and that no study measures under such a name."""

PRINTED_FORMS = {
    "x": N_("{number}×"),
    "more": N_("{number} more"),
    "less": N_("{number} less"),
}
"""How a published ratio was printed, after its number."""

CLAIM_VERDICTS = {
    "agrees": N_("agrees"),
    "differs": N_("differs"),
    "not-comparable": N_("not comparable: {reason}"),
}

CHECKS = {
    "same-quantity": N_("One quantity has several values"),
    "sum": N_("The parts do not add up"),
    "ratio": N_("A stated ratio is not that of its numbers"),
    "quantile": N_("A mean lies above a high percentile"),
    "best": N_("Two winners of one metric"),
    "mean-of-languages": N_("A value is the mean of rows that differ"),
    "whole-outside-parts": N_("The whole lies outside the range of its parts"),
    "by-length": N_("Fastest because its answers were shortest"),
    "unlike": N_("Numbers of unlike things are compared"),
    "share": N_("A percentage is not that of its numbers"),
    "stated-ratios": N_("Stated ratios of one pair differ"),
}

VALIDITY = {
    "CLIENT_LAG": N_("the client read its bytes late"),
    "LOAD_NOT_DELIVERED": N_("requests were not sent as scheduled"),
    "CACHE_HIT": N_("a prefix cache supplied prompt tokens"),
    "TOKEN_MISMATCH": N_("token counts disagree, with the server's counters or for the same prompt"),
    "ERRORS_OVER_LIMIT": N_("too many requests failed"),
    "SERVER_RESTARTED": N_("the server is not the one that was started"),
    "CLOCK_STEP": N_("the clock was stepped while measuring"),
    "THROTTLED": N_("heat, power or a quota held the machine back"),
    "NOT_STEADY": N_("throughput drifted within the point"),
    "EARLY_STOP": N_("answers ended before the tokens asked for"),
    "LITTLES_LAW": N_("in flight, rate and latency disagree"),
    "TTFT_MISMATCH": N_("the server's own TTFT differs from the client's"),
    "NOISY_HOST": N_("other work used the machine while measuring"),
}

KEPT = {
    "kept": N_("kept"),
    "missed": N_("missed"),
    "undecided": N_("not decided"),
}

KEY_WORDS = {
    "measure": {**MEASURES, **LOADING},
    "metric": MEASURES,
    "case": MEASURES,
    "against": AGAINST,
    "use_case": USE_CASES,
}
"""Key columns of tables whose values are codes, to the words for them."""
