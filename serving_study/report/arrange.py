"""Facts arranged as tables of a page; none is wider than a reader of GitHub can see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving_study.report.codes import KEY_WORDS, MEASURES
from serving_study.report.facts import Fact, Row
from serving_study.report.sentences import Sentences
from serving_study.report.words import COLUMNS, REASONS
from serving_study.report.writer import Writer

WIDEST = 8
"""Columns of a table at most."""
POINT = ("model", "language", "workload")


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Tables in one language."""

    write: Writer

    def table(self, head: Sequence[Markup], rows: Iterable[Sequence[Markup]], names: int = 1) -> Markup:
        """A Markdown table whose first ``names`` columns hold names; nothing if it has no rows."""
        lines = [_line(row) for row in rows]
        if not lines:
            return Markup()
        rule = [Markup("---" if place < names else "---:") for place in range(len(head))]
        return Markup("\n").join([_line(head), _line(rule), *lines]) + Markup("\n")

    def measured(self, *metrics: str) -> list[str]:
        """Those of the metrics that the study has a value of."""
        return [
            m
            for m in metrics
            if any(
                f.value is not None for f in self.write.facts.where(metric=m) if f.source.get("table") == "estimates"
            )
        ]

    def estimates(self, *metrics: str, **key: str) -> list[Row]:
        """Rows of estimates of these metrics."""
        return [row for metric in metrics for row in self.write.facts.rows("estimates", metric=metric, **key)]

    def distinct(self, rows: Iterable[Row], dimension: str) -> list[str]:
        """Values of a key column, in order of appearance."""
        return list(dict.fromkeys(value for row in rows if (value := row.key.get(dimension))))

    def pivot(self, rows: Sequence[Row], down: Sequence[str], across: str, compare: str = "") -> list[Markup]:
        """Values with some key columns down the side and one across; several tables if one would be too wide.

        A column down the side that never changes is left out. ``compare`` names a metric whose verdicts fill a last column.
        """
        down = [d for d in down if len(self.distinct(rows, d)) > 1] or list(down[:1])
        compared = self._verdicts(compare, rows) if compare else {}
        over = self.distinct(rows, across)
        if len(down) > 1 and len(down) + len(over) + bool(compared) > WIDEST >= len(over) + 1 + bool(compared):
            return self._apart(rows, down, across, compare)
        room = WIDEST - len(down) - bool(compared)
        tables = []
        for part in [over[i : i + room] for i in range(0, len(over), room)]:
            head = [self.say_column(d) for d in down] + [self.key_name(across, value) for value in part]
            lines: dict[tuple[str, ...], dict[str, Row]] = {}
            for row in rows:
                place = tuple(row.key.get(d, "") for d in down)
                lines.setdefault(place, {})[row.key.get(across, "")] = row
            tables.append(
                self.table(
                    head + ([self.write.say("Comparison")] if compared else []),
                    [self._pivoted(down, place, part, cells, compared) for place, cells in lines.items()],
                    len(down),
                )
            )
        return tables

    def _apart(self, rows: Sequence[Row], down: Sequence[str], across: str, compare: str) -> list[Markup]:
        """A table for each value of the first column, with that value above it, so that all columns across fit."""
        first, *rest = down
        tables = []
        for value in self.distinct(rows, first):
            own = [row for row in rows if row.key.get(first) == value]
            above = Markup("{}\n\n").format(self.key_name(first, value))
            tables += [above + table for table in self.pivot(own, rest, across, compare)]
        return tables

    def _pivoted(
        self,
        down: Sequence[str],
        place: tuple[str, ...],
        over: Sequence[str],
        cells: dict[str, Row],
        compared: dict[tuple[str, ...], Markup],
    ) -> list[Markup]:
        names = [
            self.key_name(d, value) if value else self.write.say("all") for d, value in zip(down, place, strict=True)
        ]
        values = [
            self.cell(cells[value].get("value")) if value in cells else self.write.say("not measured") for value in over
        ]
        if not compared:
            return names + values
        point = tuple(next(iter(cells.values())).key.get(d, "") for d in POINT)
        return [*names, *values, compared.get(point, self.write.say("none"))]

    def _verdicts(self, metric: str, rows: Sequence[Row]) -> dict[tuple[str, ...], Markup]:
        said = Sentences(self.write)
        if len(self.distinct(rows, "deployment")) == 2:
            pairs = self.write.facts.rows("pairs", metric=metric, scope="cell")
            return {tuple(row.key.get(d, "") for d in POINT): said.comparison(row) for row in pairs}
        found: dict[tuple[str, ...], list[Fact]] = {}
        for fact in self.write.facts.where("verdict", "champion/cell/", metric=metric):
            found.setdefault(tuple(fact.about(d) for d in POINT), []).append(fact)
        return {
            place: self.write.join([self._of_weights(said.short(fact), fact, len(facts)) for fact in facts], "; ")
            for place, facts in found.items()
        }

    def _of_weights(self, said: Markup, fact: Fact, groups: int) -> Markup:
        """A verdict with the type of weights that it holds for, where there are several."""
        if groups < 2:
            return said
        return self.write.say("{weights}: {said}", weights=self.write.part(fact, fact.about("weights")), said=said)

    def cell(self, fact: Fact | None) -> Markup:
        """A value, or why there is none."""
        if fact is None:
            return self.write.say("not measured")
        if fact.value is None:
            return self.write.say(REASONS.get(fact.reason or "", "not shown"))
        return self.write.value(fact)

    def listing(self, rows: Sequence[Row], columns: Sequence[str], names: int = 1) -> Markup:
        """Rows of a table as they are, one column of facts or of names each."""
        if len(columns) > WIDEST:
            raise ValueError(f"{len(columns)} columns: at most {WIDEST} are readable")
        head = [self.say_column(column) for column in columns]
        return self.table(head, [[self._listed(row, column) for column in columns] for row in rows], names)

    def _listed(self, row: Row, column: str) -> Markup:
        return self.write.name(column, row.key[column]) if column in row.key else self.cell(row.get(column))

    def say_column(self, name: str) -> Markup:
        """The heading of a column."""
        return self.write.say(COLUMNS[name])

    def key_name(self, dimension: str, name: str) -> Markup:
        """A value of a key column: in words where it is a code or a metric, as a name of the study else."""
        if dimension == "metric" and name not in MEASURES:
            return self.write.metric(name)
        words = KEY_WORDS.get(dimension, {})
        return self.write.say(words[name]) if name in words else self.write.name(dimension, name)


def _line(cells: Iterable[Markup]) -> Markup:
    return Markup("| {} |").format(Markup(" | ").join(cells))
