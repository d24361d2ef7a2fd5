"""The tables of what was measured: which facts stand in them, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.arrange import Arrangement
from serving_study.report.codes import VALIDITY
from serving_study.report.facts import Fact, Row
from serving_study.report.sentences import Sentences
from serving_study.report.words import N_, REASONS, SCALE

HEADLINES = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "memory_peak")
"""Metrics that the summary speaks of, if they were compared."""
MOST_HEADLINES = 12
LANGUAGE_METRICS = ("output_throughput", "character_throughput", "tokens_per_character", "ttft_p50")
TEXT_METRICS = ("byte_throughput", "output_tokens_mean", "early_stop_share")
DERIVED = "derived-characters"
"""Measure of the table `languages` that stands beside `TEXT_METRICS`."""
LAGS = ("client_lag_p50", "client_lag_mean")
"""What the instrument says of its own error, best first."""
LOAD_METRICS = ("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50", "success_rate")
LATENCIES = ("ttft_p50", "tpot_p50", "e2e_p50", "ttft_p90", "e2e_p90", "ttft_p99", "e2e_p99")
PERCENTILES = tuple(f"{base}_{p}" for base in ("ttft", "tpot", "e2e") for p in ("p90", "p95", "p99"))


@dataclass(frozen=True, slots=True)
class Evidence(Arrangement):
    """Tables of the report's sections in one language."""

    def headlines(self) -> list[Row]:
        """Comparisons of whole deployments, unless there are so many pairs that champions tell it better."""
        found = [row for metric in HEADLINES for row in self.write.facts.rows("pairs", metric=metric, scope="headline")]
        rows = [row for row in found if _equal_weights(row)]
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
            ranged = verdict if verdict.low is not None else ratio
            rows.append(
                [
                    self.write.metric(row.key["metric"]),
                    self.write.name("deployment", row.key["a"]),
                    self.write.name("deployment", row.key["b"]),
                    self._verdict(row, said),
                    self.write.bare(ratio),
                    self.write.interval(ranged, "ratio"),
                    self.write.level(ranged) if ranged.low is not None else self.write.say("none"),
                ]
            )
        head = ["metric", "a", "b", "verdict", "ratio", "interval", "level"]
        return self.table([self.say_column(column) for column in head], rows, 4)

    def _verdict(self, row: Row, said: Sentences) -> Markup:
        verdict = row["verdict"]
        if not _equal_weights(row):
            return self.write.say("not ranked: the weights differ")
        return said.short(verdict) if verdict.value != "not-decided" else said.reason(verdict)

    def level_alone(self) -> Markup:
        """The level of the interval of a single value."""
        fact = next((f for f in self.write.facts.where("estimate", "estimate/") if f.level is not None), None)
        return self.write.level(fact) if fact is not None else Markup()

    def steadiness(self) -> Markup:
        """How many points were steady or drifted, and how many could not be judged for which reason."""
        verdicts = [next(iter(row.columns.values())) for row in self.write.facts.rows("steadiness")]
        if not verdicts:
            return Markup()

        def count(name: str, found: list[Fact]) -> Markup:
            return self.write.value(self.write.facts.counted("steadiness", name, found))

        said = self.write.say(
            "Of {all} combinations of deployment, model, language and load, {steady} were steady over the measuring window"
            " and {drifted} drifted.",
            all=count("all", verdicts),
            steady=count("steady", [v for v in verdicts if v.value == "steady"]),
            drifted=count("not-steady", [v for v in verdicts if v.value == "not-steady"]),
        )
        untold = [v for v in verdicts if v.value not in ("steady", "not-steady")]
        reasons = dict.fromkeys(v.reason or "too-few-requests" for v in untold)
        return self.write.join(
            [said]
            + [
                self.write.say(
                    "Not judged ({reason}): {count}.",
                    reason=self.write.say(REASONS.get(reason, "no reason given")),
                    count=count(reason, [v for v in untold if (v.reason or "too-few-requests") == reason]),
                )
                for reason in reasons
            ],
            " ",
        )

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
        """What changes with the load, for each model, in one language."""
        rows = self.estimates(*self.measured(*LOAD_METRICS))
        if len(self.distinct(rows, "workload")) < 2:
            return []
        one = self._one_language(rows)
        return self.pivot([r for r in rows if r.key["language"] == one], ["model", "deployment", "workload"], "metric")

    def load_language(self) -> Markup:
        """The language that `by_load` shows."""
        return self.write.name("language", self._one_language(self.estimates(*self.measured(*LOAD_METRICS))))

    def _one_language(self, rows: Sequence[Row]) -> str:
        """English where it was measured, else the first, as in the figures that show one language."""
        found = self.distinct(rows, "language")
        return "en" if "en" in found or not found else found[0]

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
        return self._by_language(self.estimates(*self.measured(*LANGUAGE_METRICS)))

    def texts(self) -> list[Markup]:
        """What came out as text, under the same load: bytes, characters derived from tokens, length, early stops."""
        derived = [
            Row(row.table, {**row.key, "metric": DERIVED}, row.columns)
            for row in self.write.facts.rows("languages", measure=DERIVED)
        ]
        byte_rate, *others = TEXT_METRICS
        rows = [*self.estimates(*self.measured(byte_rate)), *derived, *self.estimates(*self.measured(*others))]
        return self._by_language(rows)

    def _by_language(self, rows: Sequence[Row]) -> list[Markup]:
        load = self._lightest()
        return self.pivot([r for r in rows if r.key["workload"] == load], ["model", "deployment", "language"], "metric")

    def _lightest(self) -> str:
        return next(iter(self._loads()), "")

    def _loads(self) -> list[str]:
        """Loads that have a value, from the lightest to the heaviest."""
        found = {f.about("workload") for f in self.write.facts.where(under="estimate/") if f.value is not None}
        return self.write.facts.by_load(found - {"*"})

    def languages_load(self) -> Markup:
        """The load that `languages` and `texts` show."""
        return self.write.name("workload", self._lightest())

    def heaviest_load(self) -> Markup:
        """The load that figures of one load show."""
        return self.write.name("workload", next(reversed(self._loads()), ""))

    def latencies(self) -> list[str]:
        """Latency metrics that the study has a value of."""
        return self.measured(*LATENCIES)

    def client_lag(self) -> list[Markup]:
        """The instrument's own error at the points whose latencies are shown: its median, else its mean."""
        name = next(iter(self.measured(*LAGS)), None)
        rows = [_unknown_lag(row) for row in self.estimates(name)] if name else []
        return self.pivot(rows, ["model", "language", "workload"], "deployment")

    def lag_metric(self) -> Markup:
        """What `client_lag` shows."""
        return self.write.metric(next(iter(self.measured(*LAGS)), LAGS[-1]))

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
            if row.code("succeeded") != row.code("requests")
            or any(row.code(column) not in ("", "0") for column in ("early_stops", "other_language"))
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

    def an_id(self) -> Markup:
        """The id of a number in a table of the report, as an example of a command."""
        rows = self.estimates(*self.measured("output_throughput", *LATENCIES))
        fact = next((row["value"] for row in rows if row["value"].value is not None), None)
        return self.write.literal(fact, fact.id) if fact else Markup("ID")


def _unknown_lag(row: Row) -> Row:
    """The row, saying so where the kernel gave no times: no data about the client's lag is no missing measurement."""
    fact = row["value"]
    if fact.value is not None or fact.reason != "no-data":
        return row
    return Row(row.table, row.key, {"value": fact.model_copy(update={"reason": "unknown"})})


def _equal_weights(row: Row) -> bool:
    """Whether both deployments of a pair hold the weights in the same type: else they stand side by side and no more."""
    return row["verdict"].about("equal_weights") != "False"


def _fatal(fact: Fact) -> str:
    return N_("left out of comparisons") if fact.subject.get("fatal") else N_("noted")
