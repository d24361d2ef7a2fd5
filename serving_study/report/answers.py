"""The tables of answers: decisions, use cases, languages, interference, claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.arrange import Arrangement
from serving_study.report.codes import (
    ANSWERS,
    CHECKS,
    CLAIM_VERDICTS,
    KEPT,
    NEXT_STEPS,
    PRINTED_FORMS,
    PUBLISHED,
    QUESTIONS,
    USE_CASES,
)
from serving_study.report.facts import Fact, Row
from serving_study.report.sentences import Sentences
from serving_study.report.words import METRICS, REASONS, UNITS, split_metric
from serving_study.study.errors import StudyError

TABLED_APART = ("kv-tokens", "language", "cost")
"""Questions with an answer for each model: each has a table of its own, and one row here for each reason to abstain."""
OF_A_PAIR = ("weights", "version")
"""Questions about pairs of deployments, answered here in one metric; the section on engines has all of them."""
MAIN_METRIC = "output_throughput"
LANGUAGE_MEASURES = ("token-cost", "equal-meaning", "equal-tokens", "answer-length")
_CONTRADICTED = re.compile(r"(?P<who>[^:]+), (?P<metric>\w+): (?P<printed>.+)")
_PRINTED = re.compile(r"(?P<number>[0-9][0-9.,]*)(?P<percent>( %)?) ?(?P<form>.*)")

FAIRNESS = "fairness"


@dataclass(frozen=True, slots=True)
class Answers(Arrangement):
    """Answers in one language."""

    def decisions(self) -> Markup:
        """One row an answer: question, what it is about, answer, what would decide it."""
        rows, once = [], set()
        order = list(QUESTIONS)
        for row in sorted(self.write.facts.rows("decisions"), key=lambda row: order.index(row.key["question"])):
            question, about = row.key["question"], self._about(row)
            if question in TABLED_APART:
                kind = (question, row["verdict"].reason)
                if row.code("verdict") != "not-decided" or kind in once:
                    continue
                once.add(kind)
                about = self.write.say("all")
            if question in OF_A_PAIR and row.key["case"] not in (MAIN_METRIC, "all"):
                continue
            rows.append([self._coded(QUESTIONS, question), about, self._answer(row), self._next(row)])
        return self.table([self.say_column(c) for c in ("question", "about", "answer", "next_step")], rows, 4)

    def costs(self) -> list[Markup]:
        """Price of a million output tokens under each load."""
        rows = [row for row in self.write.facts.rows("decisions", question="cost") if row.get("value")]
        loads = [Row(row.table, {**row.key, "workload": row.key["case"]}, row.columns) for row in rows]
        return self.pivot(loads, ["workload"], "deployment")

    def kv_tokens(self) -> list[Markup]:
        """Tokens of KV cache that fit in a gigabyte."""
        rows = [row for row in self.write.facts.rows("decisions", question="kv-tokens") if row.get("value")]
        return self.pivot(rows, ["model"], "deployment")

    def language_costs(self) -> list[Markup]:
        """What the same content costs in another language, under the lightest load."""
        rows = [row for row in self.write.facts.rows("decisions", question="language") if row.get("value")]
        return self.pivot(rows, ["case", "model", "language"], "deployment")

    def base_language(self) -> Markup:
        """The language that others are compared with."""
        found = next((row.key["against"] for row in self.write.facts.rows("decisions", question="language")), "")
        return self.write.name("language", found)

    def languages(self) -> list[Markup]:
        """Every language against the base language: tokens, time, length of the answers."""
        rows = [row for measure in LANGUAGE_MEASURES for row in self.write.facts.rows("languages", measure=measure)]
        return self.pivot(rows, ["deployment", "model", "language", "workload"], "measure")

    def use_cases(self) -> Markup:
        """One row a use case: the recommendation, the score against the runner-up, what would change or decide it."""
        found = self.write.facts.rows("recommendations")
        groups = [Sentences(self.write).among(row.key["weights"]) for row in found]
        several = any(groups)
        rows = [
            [
                self.key_name("use_case", row.key["use_case"]),
                *([among] if several else []),
                self._recommended(row),
                self._against_runner_up(row),
                self._flip(row),
                self._next(row),
            ]
            for row, among in zip(found, groups, strict=True)
        ]
        columns = ("use_case", *(["among"] if several else []), "recommended", "score", "flip", "next_step")
        return self.table([self.say_column(c) for c in columns], rows, len(columns))

    def to_serve(self) -> list[Row]:
        """What serves each deployment that a use case recommends, else the first: compose file, command lines, requests."""
        winners = {row.code("winner") for row in self.write.facts.rows("recommendations")}
        rows = [row for row in self.write.facts.rows("deployments") if row.get("curl")]
        return [row for row in rows if row.key["deployment"] in winners] or rows[:1]

    def scores(self) -> list[Markup]:
        """The numbers behind the recommendations."""
        return self.pivot(self.write.facts.rows("scores"), ["use_case", "metric"], "deployment")

    def capacity(self) -> Markup:
        """Whether the whole mix keeps an objective, for each deployment and load."""
        rows = [
            [
                self.write.name("slo", row.key["slo"]),
                self.write.name("deployment", row.key["deployment"]),
                self.write.name("workload", row.key["workload"]),
                self._coded(KEPT, row.code("verdict")),
                self.write.name("model", row.code("model")),
                self.write.name("language", row.code("language")),
                self.write.value(row["attainment"]),
                self.write.bare(row["target"]),
            ]
            for row in self.write.facts.rows("capacity")
        ]
        head = ("slo", "deployment", "workload", "verdict", "worst_model", "worst_language", "attainment", "target")
        return self.table([self.say_column(c) for c in head], rows, 6)

    def interference(self) -> list[Markup]:
        """Each model under load together with the others, against the same load without them."""
        rows = [row for row in self.write.facts.rows("interference") if row.key["metric"] != FAIRNESS]
        return self.pivot(rows, ["against", "deployment", "model", "language", "workload"], "metric")

    def fairness(self) -> list[Markup]:
        """How equally the models of a deployment suffer under load together."""
        rows = self.write.facts.rows("interference", metric=FAIRNESS)
        return self.pivot(rows, ["metric", "language", "workload"], "deployment")

    def claims(self) -> Markup:
        """What was claimed of what, the published number, the measured one and the verdict, for each deployment and load."""
        rows = [
            [
                self._claimed_metric(row),
                self._claimed_of(row),
                self._held_against(row),
                self.write.name("workload", row.key.get("workload", "")),
                self._claim_verdict(row),
                self._printed(row["printed"]) if row.get("printed") else self.write.value(row["named"]),
                self._or_none(row.get("value") or row.get("measured_name")),
            ]
            for row in self.write.facts.rows("claims")
        ]
        head = ("metric", "about", "deployment", "workload", "verdict", "claimed", "measured")
        return self.table([self.say_column(c) for c in head], rows, 5)

    def contradictions(self) -> Markup:
        """Where the published numbers contradict each other."""
        rows = [
            [
                self._coded(CHECKS, row.key["check"]),
                self._contradicted(next(iter(row.columns.values())), row.key["about"]),
                self._or_none(row.get("first")),
                self._or_none(row.get("second")),
            ]
            for row in self.write.facts.rows("contradictions")
        ]
        return self.table([self.say_column(c) for c in ("check", "about", "first_number", "second_number")], rows, 2)

    def _about(self, row: Row) -> Markup:
        names = []
        for dimension in ("case", "deployment", "model", "language"):
            name = row.key.get(dimension, "")
            if name in ("", "all", "*"):
                continue
            if dimension == "case":
                names.append(self._case(row.key["question"], name))
            else:
                names.append(self.write.name(dimension, name))
        return self.write.join(names) if names else self.write.say("all")

    def _case(self, question: str, name: str) -> Markup:
        if question in ("weights", "version"):
            return self.write.metric(name)
        return self.write.name({"slo": "slo", "users": "slo", "cost": "workload"}.get(question, "case"), name)

    def _answer(self, row: Row) -> Markup:
        code, value = row.code("verdict"), row.get("value")
        if code == "not-decided" or (value is None and code != "none"):
            return self._coded(ANSWERS, "not-decided", reason=self._reason(row["verdict"]))
        if code == "none" or value is None:
            return self._coded(ANSWERS, "none")
        if row.key["question"] in ("slo", "users"):
            return self._users(row, value, code)
        if code not in ANSWERS:
            return self.write.value(value)
        a, b = self.write.name("deployment", row.key["deployment"]), self.write.name("deployment", row.key["against"])
        return self._coded(ANSWERS, code, a=a, b=b, value=self.write.value(value))

    def _users(self, row: Row, value: Fact, code: str) -> Markup:
        kept = self.write.count(value, value.value)
        if code == "at-least" or value.high is None:
            said = self._coded(ANSWERS, "at-least", kept=kept)
        else:
            said = self._coded(ANSWERS, "kept", kept=kept, missed=self.write.count(value, value.high))
        if code != "champion":
            return said
        return self._coded(ANSWERS, "champion", winner=self.write.name("deployment", row.code("winner")), kept=said)

    def _next(self, row: Row) -> Markup:
        code = row.code("next_step")
        if not code:
            return self.write.say("nothing")
        if code.startswith("measure:"):
            return self.write.say("a value of: {metric}", metric=self.write.metric(code.removeprefix("measure:")))
        lives = row.get("next_lives")
        if code == "more-lives" and lives is not None and lives.value is not None:
            return self.write.say("about {lives} lives", lives=self.write.count(lives, lives.value))
        return self._coded(NEXT_STEPS, code)

    def _recommended(self, row: Row) -> Markup:
        if row.code("winner"):
            return self.write.name("deployment", row.code("winner"))
        return self._coded(ANSWERS, "not-decided", reason=self._reason(row["verdict"]))

    def _against_runner_up(self, row: Row) -> Markup:
        score, runner_up = row.get("score"), row.code("runner_up")
        if score is None or score.value is None or not runner_up:
            return self.write.say("none")
        return self.write.say(
            "{score} against {deployment}",
            score=self.write.value(score),
            deployment=self.write.name("deployment", runner_up),
        )

    def _flip(self, row: Row) -> Markup:
        """The weight at which the runner-up draws level, beside the one it has."""
        if not row.code("winner"):
            return self.write.say("no recommendation")
        metric, weight = row.code("flip_metric"), row.get("flip_weight")
        if not metric or weight is None or weight.value is None:
            return self.write.say("no change of a single weight")
        said = self.write.say(
            "draws level at weight {weight} on {metric}",
            weight=self.write.bare(weight),
            metric=self.write.metric(metric),
        )
        scores = self.write.facts.rows("scores", use_case=row.key["use_case"], metric=metric)
        own = next((score["weight"] for score in scores if score.get("weight")), None)
        return said if own is None else self.write.say("{it} (now {weight})", it=said, weight=self.write.bare(own))

    def _claimed_metric(self, row: Row) -> Markup:
        if row.code("metric") == "recommendation":
            return self.write.say("recommendation for: {use_case}", use_case=self._recommended_for(row))
        return self._published_metric(row["metric"], row.code("metric"))

    def _published_metric(self, fact: Fact, name: str) -> Markup:
        if split_metric(name)[0] in METRICS:
            return self.write.metric(name)
        return self.write.say(PUBLISHED[name]) if name in PUBLISHED else self.write.part(fact, name)

    def _recommended_for(self, row: Row) -> Markup:
        name = row.key["claim"].removeprefix("recommendation-")
        words = USE_CASES.get(name)
        return self.write.say(words) if words else self.write.code_of(row["metric"], name)

    def _claimed_of(self, row: Row) -> Markup:
        names = [
            self.write.name("language", row.code(part)) if part == "language" else self.write.value(row[part])
            for part in ("engine", "model", "language")
            if row.code(part) not in ("", "all")
        ]
        return self.write.join(names) if names else self.write.say("all")

    def _held_against(self, row: Row) -> Markup:
        """The deployment that a claim is held against, or the two of a ratio."""
        names = [name for name in row.key.get("deployment", "").split("/") if name]
        said = self.write.join((self.write.name("deployment", name) for name in names), " / ")
        return said if names else self.write.say("none")

    def _contradicted(self, fact: Fact, about: str) -> Markup:
        """Whose numbers of which metric contradict each other, as they were printed."""
        found = _CONTRADICTED.fullmatch(about)
        if found is None:
            return self.write.code_of(fact, about)
        of = [self.write.part(fact, found["who"]), self._published_metric(fact, found["metric"])]
        printed = [self._printed(fact, text) for text in found["printed"].split("; ")]
        return self.write.join([self.write.join(of), self.write.join(printed, "; ")], ": ")

    def _printed(self, fact: Fact, text: str | None = None) -> Markup:
        """A published number in the words of this language: `3.8x`, `378.6 % more`, `1.2 ms`; as it stood where it has none."""
        printed = str(fact.value) if text is None else text
        found = _PRINTED.fullmatch(printed)
        if found is None:
            return self.write.part(fact, printed)
        number = self.write.part(fact, found["number"] + found["percent"].strip())
        one, several = UNITS.get(found["form"], ("", ""))
        words = PRINTED_FORMS.get(found["form"]) or (one if found["number"] == "1" else several)
        if words:
            return self.write.say(words, number=number)
        return self.write.part(fact, printed) if found["form"] else number

    def _claim_verdict(self, row: Row) -> Markup:
        code = row.code("verdict")
        if code == "not-comparable":
            return self._coded(CLAIM_VERDICTS, code, reason=self._reason(row["verdict"]))
        return self._coded(CLAIM_VERDICTS, code)

    def _coded(self, words: Mapping[str, str], code: str, **parts: Markup) -> Markup:
        if code not in words:
            raise StudyError(f"facts.json: {code!r} is no code that the report has words for; add it to codes.py")
        message = words[code]
        return self.write.say(message, **parts)

    def _or_none(self, fact: Fact | None) -> Markup:
        return self.write.say("none") if fact is None or fact.value is None else self.write.value(fact)

    def _reason(self, fact: Fact) -> Markup:
        return self.write.say(REASONS.get(fact.reason or "", "no reason given"))
