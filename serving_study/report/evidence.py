"""The tables of each section: which facts stand in them, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.arrange import WIDEST, Arrangement
from serving_study.report.codes import VALIDITY
from serving_study.report.facts import Fact, Row
from serving_study.report.sentences import Sentences
from serving_study.report.words import N_, PARTS, SCALE, STAGES

HEADLINES = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "memory_peak")
"""Metrics that the summary speaks of, if they were compared."""
MOST_HEADLINES = 12
LANGUAGE_METRICS = (
    "output_throughput",
    "character_throughput",
    "tokens_per_character",
    "output_tokens_mean",
    "ttft_p50",
)
LOAD_METRICS = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "success_rate")
LATENCIES = ("ttft_p50", "tpot_p50", "e2e_p50", "ttft_p90", "e2e_p90", "ttft_p99", "e2e_p99")
PERCENTILES = tuple(f"{base}_{p}" for base in ("ttft", "tpot", "e2e") for p in ("p90", "p95", "p99"))


@dataclass(frozen=True, slots=True)
class Evidence(Arrangement):
    """Tables of the report's sections in one language."""

    def machines(self) -> list[Markup]:
        """Processor and accelerators of each measuring machine."""
        found: dict[str, Markup] = {}
        for row in self.write.facts.rows("deployments"):
            parts = [row.get(column) for column in ("processor", "accelerators", "system")]
            said = [self.write.value(fact) for fact in parts if fact is not None and fact.value]
            if said:
                found.setdefault(
                    " ".join(row.code(c) for c in ("processor", "accelerators", "system")), self.write.join(said)
                )
        return list(found.values())

    def deployments(self) -> Markup:
        """One row a deployment: engine, version, models, slots, start-up."""
        rows = self.write.facts.rows("deployments")
        wanted = ("title", "version", "slots", "context", "ready_after", "idle_memory")
        columns = [c for c in wanted if any(row.code(c) for row in rows)]
        return self.listing(rows, ["deployment", *columns], names=3)

    def headlines(self) -> list[Row]:
        """Comparisons of whole deployments, unless there are so many pairs that champions tell it better."""
        rows = [row for metric in HEADLINES for row in self.write.facts.rows("pairs", metric=metric, scope="headline")]
        return rows if len(rows) <= MOST_HEADLINES else []

    def champions(self, scope: str) -> list[Fact]:
        """Verdicts over all rivals."""
        found = self.write.facts.where("verdict", f"champion/{scope}/")
        contested = [fact for fact in found if fact.value != "no-rival"]
        return [fact for metric in HEADLINES for fact in contested if fact.about("metric") == metric]

    def headline_table(self) -> Markup:
        """Every comparison of whole deployments: metric, pair, ratio with interval, verdict."""
        said = Sentences(self.write)
        rows = []
        for row in self.write.facts.rows("pairs", scope="headline"):
            verdict, ratio = row["verdict"], row["ratio"]
            if ratio.value is None:
                continue
            rows.append(
                [
                    self.write.metric(row.key["metric"]),
                    self.write.name("deployment", row.key["a"]),
                    self.write.name("deployment", row.key["b"]),
                    said.short(verdict) if verdict.value != "not-decided" else said.reason(verdict),
                    self.write.bare(ratio),
                    self.write.interval(verdict if verdict.low is not None else ratio, "ratio"),
                ]
            )
        head = ["metric", "a", "b", "verdict", "ratio", "interval"]
        return self.table([self.say_column(column) for column in head], rows, 4)

    def validity(self) -> Markup:
        """One row a code: how often, and whether it forbids comparing."""
        rows = [
            [
                self.write.code_of(fact, fact.about("code")),
                self.write.say(VALIDITY.get(fact.about("code"), "no reason given")),
                self.write.say(_fatal(fact)),
                self.write.value(fact),
            ]
            for fact in self.write.facts.where("count", "validity/")
        ]
        head = [self.say_column(c) for c in ("code", "meaning", "consequence", "times")]
        return self.table(head, rows, 3)

    def scale(self) -> Markup:
        """How much was measured."""
        facts = self.write.facts
        rows = [[self.write.say(word), self.write.value(facts[name])] for name, word in SCALE.items() if name in facts]
        return self.table([self.say_column("what"), self.say_column("amount")], rows)

    def by_load(self) -> list[Markup]:
        """What changes with the load, for each model, in the first language."""
        rows = self.estimates(*self.measured(*LOAD_METRICS))
        if len(self.distinct(rows, "workload")) < 2:
            return []
        first = self.distinct(rows, "language")[:1]
        return self.pivot(
            [r for r in rows if r.key["language"] in first], ["model", "deployment", "workload"], "metric"
        )

    def load_language(self) -> Markup:
        """The language that `by_load` shows."""
        languages = self.distinct(self.estimates("output_throughput"), "language")
        return self.write.name("language", languages[0]) if languages else self.write.say("all")

    def models(self) -> list[str]:
        """Models that were measured."""
        return [m for m in self.write.facts.values("model", "estimate", "estimate/output_throughput/") if m != "*"]

    def about_model(self, model: str) -> Markup:
        """Parameters, weights and license of a model."""
        facts = (self.write.facts.get(f"model/{model}/{key}") for key in ("parameters", "weights", "license"))
        parameters, weights, licence = facts
        if not (parameters and weights and licence):
            return Markup()
        return self.write.say(
            "Parameters: {parameters}; weights: {weights}; license: {license}.",
            parameters=self.write.value(parameters),
            weights=self.write.value(weights),
            license=self.write.value(licence),
        )

    def languages(self) -> list[Markup]:
        """What a language costs, for each model and deployment, under the lightest load."""
        rows = self.estimates(*self.measured(*LANGUAGE_METRICS))
        first = self.distinct(rows, "workload")[:1]
        return self.pivot(
            [r for r in rows if r.key["workload"] in first], ["model", "deployment", "language"], "metric"
        )

    def languages_load(self) -> Markup:
        """The load that `languages` shows."""
        loads = self.distinct(self.estimates("output_throughput"), "workload")
        return self.write.name("workload", loads[0]) if loads else self.write.say("all")

    def latencies(self) -> list[str]:
        """Latency metrics that the study has a value of."""
        return self.measured(*LATENCIES)

    def percentiles_without_value(self) -> Markup:
        """Percentiles that no point has enough requests for."""
        facts = self.write.facts
        there = [m for m in PERCENTILES if facts.where(metric=m) and not self.measured(m)]
        return self.write.join([self.write.metric(m) for m in there], "; ")

    def success(self) -> Markup:
        """Points in which a request failed, stopped early or answered in another language."""
        rows = [
            row
            for row in self.write.facts.rows("requests_summary")
            if row.code("succeeded") != row.code("requests") or row.code("other_language") not in ("", "0")
        ]
        columns = [
            "deployment",
            "model",
            "language",
            "workload",
            "requests",
            "succeeded",
            "early_stops",
            "other_language",
        ]
        return self.listing(rows, columns, names=4)

    def memory_over_lives(self) -> list[Markup]:
        """Idle and peak memory of whole deployments, over all lives."""
        metrics = ("memory_idle", "memory_peak", "device_memory_idle", "device_memory_peak")
        return self.pivot(self.estimates(*self.measured(*metrics)), ["metric", "language"], "deployment")

    def memory(self) -> list[Markup]:
        """The parts of the memory down the side, deployments across; one life, described."""
        found: dict[tuple[str, str, str], dict[str, Fact]] = {}
        for row in self.write.facts.rows("deployments"):
            for column in ("weights_memory", "kv_capacity"):
                if row.code(column):
                    found.setdefault(("", column, ""), {})[row.key["deployment"]] = row[column]
        profile = self.write.facts.rows("memory")
        hidden = {"host", "rss"} if any(row.key.get("part") == "pss" for row in profile) else {"host"}
        for row in sorted(profile, key=_place_in_profile):
            if row["value"].value and row.key.get("part") not in hidden:
                place = (row.key.get("server", ""), row.key.get("part", ""), row.key.get("stage", ""))
                found.setdefault(place, {})[row.key["deployment"]] = row["value"]
        return self._across_deployments(
            ("server", "part", "stage"),
            {
                (
                    self.write.name("server", server),
                    self._word(PARTS, "part", part),
                    self._word(STAGES, "stage", stage),
                ): {deployment: self.cell(fact) for deployment, fact in cells.items()}
                for (server, part, stage), cells in found.items()
            },
        )

    def settings(self, unequal: bool = False) -> list[Markup]:
        """Settings as they ran, one row each, deployments across; only those that differ if ``unequal``."""
        found: dict[str, dict[str, list[Row]]] = {}
        for row in self.write.facts.rows("ledger"):
            if row.code("ran") and not (unequal and row["ran"].subject.get("equal")):
                found.setdefault(row.key["name"], {}).setdefault(row.key["deployment"], []).append(row)
        return self._across_deployments(
            ("name",),
            {
                (self.write.code_of(next(iter(cells.values()))[0]["ran"], name),): {
                    deployment: self._ran(rows) for deployment, rows in cells.items()
                }
                for name, cells in found.items()
            },
            numbers=False,
        )

    def _ran(self, rows: list[Row]) -> Markup:
        """What the servers of a deployment run a setting with; what was asked for beside it where it differs."""
        said: dict[tuple[str, str], Markup] = {}
        for row in rows:
            ran, asked = row["ran"], row.get("asked")
            if (ran.value, row.code("asked")) in said:
                continue
            shown = self.write.code(ran)
            if ran.reason == "differs" and asked is not None and asked.value is not None:
                shown = self.write.say("{ran} (asked: {asked})", ran=shown, asked=self.write.code(asked))
            said[str(ran.value), row.code("asked")] = shown
        return self.write.join(said.values())

    def _across_deployments(
        self, down: tuple[str, ...], lines: dict[tuple[Markup, ...], dict[str, Markup]], numbers: bool = True
    ) -> list[Markup]:
        every = list(dict.fromkeys(deployment for cells in lines.values() for deployment in cells))
        room = WIDEST - len(down)
        head = [self.say_column(column) for column in down]
        return [
            self.table(
                head + [self.write.name("deployment", deployment) for deployment in part],
                [[*names, *(cells.get(d, self.write.say("not told")) for d in part)] for names, cells in lines.items()],
                len(down) if numbers else WIDEST,
            )
            for part in (every[i : i + room] for i in range(0, len(every), room))
        ]

    def warmup(self) -> Markup:
        """Requests until steady, for each deployment and model."""
        return self.listing(
            self.write.facts.rows("warmup"), ["deployment", "model", "requests", "first", "later"], names=2
        )

    def an_id(self) -> Markup:
        """The id of one fact, as an example of a command."""
        fact = next(
            (f for f in self.write.facts if f.kind == "estimate" and f.source.get("table") == "estimates"), None
        )
        return self.write.literal(fact, fact.id) if fact else Markup("ID")

    def _word(self, words: dict[str, str], dimension: str, name: str) -> Markup:
        if not name:
            return self.write.say("as told")
        return self.write.say(words[name]) if name in words else self.write.name(dimension, name)


def _place_in_profile(row: Row) -> tuple[str, str, int, str]:
    stage = row.key.get("stage", "")
    order = {"before": 0, "idle": 1, "peak": 3, "stopped": 4}.get(stage, 2)
    return row.key.get("server", ""), row.key.get("part", ""), order, stage


def _fatal(fact: Fact) -> str:
    return N_("left out of comparisons") if fact.subject.get("fatal") else N_("noted")
