"""The tables of what the deployments say of themselves: machine, memory by part, settings, warm-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.arrange import WIDEST, Arrangement
from serving_study.report.facts import Fact, Row
from serving_study.report.words import PARTS, STAGES

MACHINE = ("processor", "cores", "memory", "accelerators", "system")
RESTART = "start-time"


@dataclass(frozen=True, slots=True)
class Deployed(Arrangement):
    """Tables of deployments in one language."""

    def machines(self) -> list[Markup]:
        """Processor, cores, memory and accelerators of each measuring machine."""
        found: dict[tuple[str, ...], Markup] = {}
        for row in self.write.facts.rows("deployments"):
            there = {column: fact for column in MACHINE if (fact := row.get(column)) is not None and fact.value}
            said = {column: self.write.value(fact) for column, fact in there.items()}
            if "memory" in said:
                said["memory"] = self.write.say("{memory} of memory", memory=said["memory"])
            if said:
                found.setdefault(tuple(str(fact.value) for fact in there.values()), self.write.join(said.values()))
        return list(found.values())

    def deployments(self) -> Markup:
        """One row a deployment: engine, version, models, slots, start-up."""
        rows = self.write.facts.rows("deployments")
        wanted = ("title", "version", "slots", "context", "ready_after", "idle_memory")
        columns = [c for c in wanted if any(row.code(c) for row in rows)]
        return self.listing(rows, ["deployment", *columns], names=3)

    def memory_over_lives(self) -> list[Markup]:
        """Idle and peak memory of whole deployments, over all lives."""
        metrics = ("memory_idle", "memory_peak", "device_memory_idle", "device_memory_peak")
        return self.pivot(self.estimates(*self.measured(*metrics)), ["metric", "language"], "deployment")

    def kv_used(self) -> list[Markup]:
        """The KV cache in use at most, for each model and load; nothing where no engine told it."""
        rows = self._kv_told()
        lines: dict[tuple[Markup, ...], dict[str, Markup]] = {}
        for row in rows:
            place = (self.write.name("model", row.key["model"]), self.write.name("workload", row.key["workload"]))
            lines.setdefault(place, {})[row.key["deployment"]] = self._kv(row)
        return self._across_deployments(("model", "workload"), lines)

    def _kv_told(self) -> list[Row]:
        rows = self.write.facts.rows("kv_cache")
        return rows if any(fact.value is not None for row in rows for fact in row.columns.values()) else []

    def _kv(self, row: Row) -> Markup:
        used, share = (row.get(column) for column in ("used", "share"))
        if share is None or share.value is None:
            return self.write.say("not told")
        if used is None or used.value is None:
            return self.write.say("{share} of a capacity not told", share=self.write.value(share))
        return self.write.say(
            "{used}, {share} of the capacity", used=self.write.value(used), share=self.write.value(share)
        )

    def memory(self) -> list[Markup]:
        """The parts of the memory down the side, deployments across; one life, described."""
        found: dict[tuple[str, str, str], dict[str, Fact]] = {}
        for row in self.write.facts.rows("deployments"):
            for column in ("weights_memory", "kv_capacity"):
                if row.code(column):
                    found.setdefault(("", column, ""), {})[row.key["deployment"]] = row[column]
        profile = self.write.facts.rows("memory")
        seen = {row.key["part"] for row in profile}
        for row in sorted(profile, key=_place_in_profile):
            if _says_something(row, seen):
                found.setdefault((row.key["server"], row.key["part"], row.key["stage"]), {})[row.key["deployment"]] = (
                    row["value"]
                )
        if found and "kv_used" not in seen and not self._kv_told():
            found["", "kv_used", "peak"] = {}
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

    def loading(self) -> list[Markup]:
        """What loading on demand takes and gives back, by how many models may be held at once."""
        rows = [row for row in self.write.facts.rows("loading") if row.key["measure"] != RESTART]
        return self.pivot(rows, ["measure", "model", "held"], "deployment")

    def restarts(self) -> list[Markup]:
        """What starting a server anew takes, where its model is fixed at start."""
        return self.pivot(self.write.facts.rows("loading", measure=RESTART), ["measure", "model"], "deployment")

    def nothing_left(self) -> bool:
        """Whether the profile looked for the servers' memory after the stop and found none."""
        left = [row["value"].value for row in self.write.facts.rows("memory", stage="stopped", part="pss")]
        return bool(left) and not any(left)

    def settings(self, unequal: bool = False) -> list[Markup]:
        """Settings as they ran, one row each, deployments across; only those that differ if ``unequal``."""
        found: dict[str, list[Row]] = {}
        for row in self.write.facts.rows("ledger"):
            if row.code("ran") or row.code("asked"):
                found.setdefault(row.key["name"], []).append(row)
        return self._across_deployments(
            ("name",),
            {
                (self.write.code_of(rows[0]["ran"], name),): self._by_deployment(rows)
                for name, rows in found.items()
                if not self._repeats_names(rows) and not (unequal and all(_equal(row) for row in rows))
            },
            numbers=False,
        )

    def _repeats_names(self, rows: Sequence[Row]) -> bool:
        """Whether a setting says nothing but which model a server has."""
        names = set(self.write.facts.values("model"))
        return rows[0].key["name"] == "model_name" and all(row.code("ran") in names for row in rows)

    def _by_deployment(self, rows: Sequence[Row]) -> Mapping[str, Markup]:
        """What the servers of each deployment run a setting with, every value once."""
        said: dict[str, dict[tuple[str, str], Markup]] = {}
        for row in rows:
            values = (row.code("ran"), row.code("asked"))
            said.setdefault(row.key["deployment"], {}).setdefault(values, self._ran(row))
        return {deployment: self.write.join(values.values()) for deployment, values in said.items()}

    def _ran(self, row: Row) -> Markup:
        """The value that ran; what was asked for beside it where it differs or was not told."""
        ran, asked = row["ran"], row.get("asked")
        if ran.value is None and asked is not None:
            return self.write.say("asked: {asked}, not told", asked=self.write.code(asked))
        if ran.reason == "differs" and asked is not None and asked.value is not None:
            return self.write.say("{ran} (asked: {asked})", ran=self.write.code(ran), asked=self.write.code(asked))
        return self.write.code(ran)

    def _across_deployments(
        self, down: tuple[str, ...], lines: Mapping[tuple[Markup, ...], Mapping[str, Markup]], numbers: bool = True
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
        """Requests until steady, for each deployment and model; a model that never was says so."""
        rows = [
            [
                self.write.name("deployment", row.key["deployment"]),
                self.write.name("model", row.key["model"]),
                self._until_steady(row["requests"]),
                self.cell(row.get("first")),
                self.cell(row.get("later")),
            ]
            for row in self.write.facts.rows("warmup")
        ]
        head = ("deployment", "model", "requests", "first", "later")
        return self.table([self.say_column(column) for column in head], rows, 2)

    def _until_steady(self, requests: Fact) -> Markup:
        said = self.cell(requests)
        return self.write.say("{requests}, never steady", requests=said) if requests.reason == "not-steady" else said

    def _word(self, words: dict[str, str], dimension: str, name: str) -> Markup:
        if not name:
            return self.write.say("as told")
        return self.write.say(words[name]) if name in words else self.write.name(dimension, name)


def _place_in_profile(row: Row) -> tuple[str, str, int, str]:
    stage = row.key.get("stage", "")
    order = {"before": 0, "idle": 1, "peak": 3, "stopped": 4}.get(stage, 2)
    return row.key.get("server", ""), row.key.get("part", ""), order, stage


def _says_something(row: Row, seen: set[str]) -> bool:
    """Not the resident memory where there is a proportional one, the whole machine only before and after, zero only after."""
    part, stage, value = row.key["part"], row.key["stage"], row["value"].value
    if part == "rss" and "pss" in seen:
        return False
    if part == "host" and stage not in ("before", "stopped"):
        return False
    return bool(value) or (value is not None and stage == "stopped")


def _equal(row: Row) -> bool:
    return bool(row["ran"].subject.get("equal"))
