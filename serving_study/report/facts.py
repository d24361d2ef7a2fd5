"""Facts as the report reads them: one number or name each, with where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from serving_study.study.errors import StudyError

Value = bool | int | float | str | None


class Fact(BaseModel):
    """One number, name or verdict that the report may show."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    kind: str
    """estimate, count, ratio, verdict, label, share or text."""
    value: Value = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    n: int | None = None
    lives: int | None = None
    subject: dict[str, Any] = {}
    source: dict[str, Any] = {}
    reason: str | None = None
    """Code that says why there is no value, or why it is not compared."""

    def about(self, key: str) -> str:
        """What the fact says of: its ``metric``, ``deployment``, ``model``, ``language`` or ``workload``; empty if none."""
        value = self.subject.get(key)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Row:
    """The facts that stand in one row of a table."""

    table: str
    key: Mapping[str, str]
    """The columns that tell the row apart."""
    columns: Mapping[str, Fact]

    def __getitem__(self, column: str) -> Fact:
        """The fact of that column; an error if there is none."""
        if column not in self.columns:
            raise StudyError(
                f"facts.json: {self.table}, {dict(self.key)}: no fact of column {column}; run `facts` again"
            )
        return self.columns[column]

    def get(self, column: str) -> Fact | None:
        """The fact of that column, or None."""
        return self.columns.get(column)

    def code(self, column: str) -> str:
        """The code that a column holds; empty if there is none."""
        fact = self.columns.get(column)
        return "" if fact is None or fact.value is None else str(fact.value)


class Facts:
    """All facts of a study, in the order in which they were written."""

    def __init__(self, study: str, facts: Iterable[Fact]) -> None:
        self.study = study
        self._facts = {fact.id: fact for fact in facts}

    def __iter__(self) -> Iterator[Fact]:
        """The facts."""
        return iter(self._facts.values())

    def __len__(self) -> int:
        """How many facts there are."""
        return len(self._facts)

    def __contains__(self, fact_id: str) -> bool:
        """Whether there is a fact of that id."""
        return fact_id in self._facts

    def __getitem__(self, fact_id: str) -> Fact:
        """The fact of that id; an error if there is none."""
        if fact_id not in self._facts:
            raise StudyError(f"facts.json: {fact_id}: no such fact; run `facts` again, then `render`")
        return self._facts[fact_id]

    def get(self, fact_id: str) -> Fact | None:
        """The fact of that id, or None."""
        return self._facts.get(fact_id)

    def where(self, kind: str | None = None, under: str = "", **subject: str) -> list[Fact]:
        """Facts of a kind whose id starts with ``under`` and whose subject holds these keys with these values."""
        return [
            fact
            for fact in self._facts.values()
            if (kind is None or fact.kind == kind)
            and fact.id.startswith(under)
            and all(fact.about(key) == value for key, value in subject.items())
        ]

    def values(self, key: str, kind: str | None = None, under: str = "", **subject: str) -> list[str]:
        """Distinct values of a key of the subject, in order of appearance."""
        return list(dict.fromkeys(v for fact in self.where(kind, under, **subject) if (v := fact.about(key))))

    def rows(self, table: str, **key: str) -> list[Row]:
        """Rows of a table that facts come from, with these values in their key, in order of appearance."""
        found: dict[tuple[tuple[str, str], ...], dict[str, Fact]] = {}
        for fact in self._facts.values():
            if fact.source.get("table") != table:
                continue
            row = {name: str(value) for name, value in fact.source["row"].items()}
            if row and all(row.get(name) == value for name, value in key.items()):
                found.setdefault(tuple(row.items()), {}).setdefault(str(fact.source.get("column", "")), fact)
        return [Row(table, dict(row), columns) for row, columns in found.items()]

    def by_load(self, workloads: Iterable[str]) -> list[str]:
        """Workloads from the lightest to the heaviest, as their concurrency or rate says.

        Loads on several models together are left out unless there are no others: they ask something else of each model.
        """
        found = sorted(workloads, key=lambda name: (self._load(name), name))
        return [name for name in found if f"workload/{name}/together" not in self] or found

    def _load(self, workload: str) -> float:
        for key in ("concurrency", "rate"):
            fact = self._facts.get(f"workload/{workload}/{key}")
            if fact is not None and isinstance(fact.value, int | float):
                return float(fact.value)
        return 0.0

    def counted(self, table: str, name: str, found: Sequence[Fact]) -> Fact:
        """How many facts of a table were found, as a fact of that table."""
        fact_id = f"count/{table}/{name}"
        source = {"table": table, "row": {}, "column": name}
        self._facts[fact_id] = Fact(id=fact_id, kind="count", value=len(found), unit="1", source=source)
        return self._facts[fact_id]

    def label(self, dimension: str, name: str) -> Fact:
        """The fact that vouches for a name: its label if there is one, else the first fact that is about it."""
        fact_id = f"label/{dimension}/{name}".lower()
        if fact_id not in self._facts:
            self._facts[fact_id] = self._derived_label(fact_id, dimension, name)
        return self._facts[fact_id]

    def _derived_label(self, fact_id: str, dimension: str, name: str) -> Fact:
        if dimension == "study" and name == self.study:
            return Fact(id=fact_id, kind="label", value=name, source={"table": "study", "row": {}, "column": "name"})
        for fact in self._facts.values():
            if fact.about(dimension) == name or (fact.source.get("column") == dimension and fact.value == name):
                source = {**fact.source, "column": dimension}
                return Fact(id=fact_id, kind="label", value=name, subject={dimension: name}, source=source)
        raise StudyError(f"facts.json: {dimension} {name}: no fact is about it; run `facts` again, then `render`")


def read_facts(path: Path) -> Facts:
    """Facts of a ``facts.json``."""
    try:
        content: Mapping[str, Any] = orjson.loads(path.read_bytes())
        return Facts(content["study"], [Fact.model_validate(fact) for fact in content["facts"]])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StudyError(f"{path}: is no file of facts ({error}); run `facts` again") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; run `facts` again") from error
