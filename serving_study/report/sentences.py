"""Sentences that follow the facts: which one is said is chosen by the code of a verdict, never by a person."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.facts import Fact, Row
from serving_study.report.words import (
    CHAMPION_VERDICTS,
    DECIDED,
    LIVES_NEEDED,
    REASONS,
    REVERSED,
    SHORT_VERDICTS,
    UNDECIDED,
)
from serving_study.report.writer import Writer
from serving_study.study.errors import StudyError


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences in one language."""

    write: Writer

    def pair(self, row: Row) -> Markup:
        """What a comparison of two deployments allows to say."""
        verdict = row["verdict"]
        code = str(verdict.value)
        if REVERSED.get(code, code) in DECIDED:
            return self._decided(row, verdict)
        if code not in UNDECIDED:
            raise _unknown(verdict)
        message = UNDECIDED[code]
        a, b = (self.write.name("deployment", row.key[side]) for side in ("a", "b"))
        metric = self.write.metric(row.key["metric"])
        if "{reason}" in message:
            return self.write.say(message, metric=metric, a=a, b=b, reason=self.reason(verdict))
        said = self.write.say(
            message,
            metric=metric,
            a=a,
            b=b,
            ratio=self.write.bare(row["ratio"]),
            ci=self.write.interval(verdict, "ratio"),
            level=self.write.level(verdict),
            lives=self.write.lives(verdict),
        )
        needed = row.get("lives_needed")
        if needed is None or needed.value is None:
            return said
        return self.write.join([said, self.write.say(LIVES_NEEDED, needed=self.write.value(needed))], " ")

    def _decided(self, row: Row, verdict: Fact) -> Markup:
        advantage = self.write.facts["advantage/" + verdict.id.removeprefix("verdict/")]
        code = str(verdict.value)
        return self.write.say(
            DECIDED[REVERSED.get(code, code)],
            metric=self.write.metric(row.key["metric"]),
            better=self.write.name("deployment", advantage.about("better")),
            worse=self.write.name("deployment", advantage.about("worse")),
            times=self.write.bare(advantage),
            ci=self.write.interval(advantage),
            level=self.write.level(advantage),
            lives=self.write.lives(advantage),
        )

    def champion(self, verdict: Fact) -> Markup:
        """Which deployment beats all its rivals, or that none does."""
        if verdict.value not in CHAMPION_VERDICTS:
            raise _unknown(verdict)
        message = CHAMPION_VERDICTS[str(verdict.value)]
        parts = {"metric": self.write.metric(verdict.about("metric"))}
        if "{winner}" in message:
            parts["winner"] = self.write.name("deployment", verdict.about("winner"))
        if "{reason}" in message:
            parts["reason"] = self.reason(verdict)
        said = self.write.say(message, **parts)
        among = self.among(verdict.about("weights")) if verdict.about("scope") == "headline" else Markup()
        return self.write.say("Among {deployments}: {said}", deployments=among, said=said) if among else said

    def among(self, weights: str) -> Markup:
        """The deployments that serve these types of weights, where others of the study serve other types; else nothing.

        ``weights`` is ``model:type`` of some or all models, joined by commas.
        """
        rows = self.write.facts.rows("deployments")
        if len({row.code("weights") for row in rows}) < 2:
            return Markup()
        wanted = set(weights.split(","))
        alike = [row.key["deployment"] for row in rows if wanted <= set(row.code("weights").split(","))]
        return self.write.join([self.write.name("deployment", name) for name in alike])

    def short(self, verdict: Fact) -> Markup:
        """A verdict in two or three words, for the cell of a table."""
        code = str(verdict.value)
        if code == "champion":
            return self.write.name("deployment", verdict.about("winner"))
        if REVERSED.get(code, code) in DECIDED:
            ahead = verdict.about("b" if code in REVERSED else "a")
            return self.write.say("{deployment} is ahead", deployment=self.write.name("deployment", ahead))
        if code not in SHORT_VERDICTS:
            raise _unknown(verdict)
        return self.write.say(SHORT_VERDICTS[code])

    def comparison(self, row: Row) -> Markup:
        """Ratio of a pair with the interval that agrees with its verdict, and the verdict.

        Where nothing is claimed, as with few lives, the ratio stands with its own interval and no verdict.
        """
        verdict, ratio = row["verdict"], row.get("ratio")
        if ratio is None or ratio.value is None:
            return self.short(verdict)
        if verdict.low is None:
            return self.write.value(ratio)
        return self.write.say(
            "{ratio} {ci}: {verdict}",
            ratio=self.write.bare(ratio),
            ci=self.write.interval(verdict, "ratio"),
            verdict=self.short(verdict),
        )

    def reason(self, fact: Fact) -> Markup:
        """Why a comparison says no more."""
        return self.write.say(REASONS.get(fact.reason or "", "no reason given"))


def _unknown(verdict: Fact) -> StudyError:
    return StudyError(
        f"facts.json: {verdict.id}: {verdict.value!r} is no verdict that the report knows; add it to words.py"
    )
