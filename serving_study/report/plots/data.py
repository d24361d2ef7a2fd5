"""What figures are drawn from: the tables of a study, its requests and its objectives, with the words of one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from serving_study.report.catalogs import Catalog
from serving_study.report.facts import Facts
from serving_study.report.words import LANGUAGES, METRICS, N_, REASONS, STATISTICS, UNITS, split_metric

MS = 1e6
MIB = 2**20
_REQUEST_COLUMNS = ("model", "workload", "language", "intended_ns", "ttft", "e2e", "chunks", "measured")


@dataclass(frozen=True)
class Data:
    """Everything that a figure may draw."""

    tables: Path
    metrics: Sequence[Path]
    """``metrics.parquet`` of every cell, in folders DEPLOYMENT/LANGUAGE/rNN."""
    facts: Facts
    catalog: Catalog

    def table(self, name: str) -> pd.DataFrame:
        """A table of the study."""
        frame: pd.DataFrame = pq.read_table(self.tables / f"{name}.parquet").to_pandas()
        return frame

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Estimates that have a value."""
        frame = self.table("estimates")
        return frame[frame["value"].notna()]

    @cached_property
    def deployments(self) -> list[str]:
        """Deployments in one order, so that each keeps its colour in every figure."""
        return sorted(self.estimates["deployment"].unique())

    @cached_property
    def models(self) -> list[str]:
        """Models that were measured."""
        return sorted(set(self.estimates["model"]) - {"*"})

    @cached_property
    def weights(self) -> dict[tuple[str, str], str]:
        """(model, deployment) to the type of the weights."""
        points = self.table("points").drop_duplicates(["model", "deployment"])
        return dict(zip(zip(points["model"], points["deployment"], strict=True), points["weights"], strict=True))

    @cached_property
    def language(self) -> str:
        """The language that a figure shows when it shows one: English, else the first."""
        found = sorted(set(self.estimates.loc[self.estimates["model"] != "*", "language"]))
        return "en" if "en" in found or not found else found[0]

    @cached_property
    def languages(self) -> list[str]:
        """Languages of the prompts that were measured, with or without values."""
        return sorted(set(self.table("estimates")["language"]) - {"*"})

    @cached_property
    def workloads(self) -> list[str]:
        """Workloads from the lightest to the heaviest, as their concurrency or rate says."""
        return self.facts.by_load(set(self.estimates["workload"]) - {"*"})

    def estimate(self, metric: str, **where: str) -> pd.DataFrame:
        """Estimates of a metric where these columns have these values."""
        frame = self.estimates[self.estimates["metric"] == metric]
        for column, value in where.items():
            frame = frame[frame[column] == value]
        return frame

    def reason(self, metric: str, **where: str) -> str:
        """Why there is no estimate, in words."""
        frame = self.table("estimates")
        for column, value in {"metric": metric, **where}.items():
            frame = frame[frame[column] == value]
        code = "" if frame.empty else str(frame["reason"].iloc[0])
        return self.say(REASONS.get(code, REASONS["not-measured"]))

    @cached_property
    def requests(self) -> pd.DataFrame:
        """Measured requests of all cells; ``start_s`` counts from the first request of the same point and life."""
        frames = []
        for file in sorted(self.metrics):
            there = set(pq.read_schema(file).names)
            frame = pq.read_table(file, columns=[c for c in _REQUEST_COLUMNS if c in there]).to_pandas()
            frame = frame.astype({"model": str, "workload": str, "language": str})
            frames.append(frame[frame["measured"]].assign(deployment=file.parts[-4], life=file.parts[-2]))
        if not frames:
            return pd.DataFrame(columns=[*_REQUEST_COLUMNS, "deployment", "life", "start_s"])
        every = pd.concat(frames, ignore_index=True)
        if "intended_ns" in every:
            point = ["deployment", "language", "life", "model", "workload"]
            first = every.groupby(point)["intended_ns"].transform("min")
            every["start_s"] = (every["intended_ns"] - first) / 1e9
        return every

    def say(self, message: str, **parts: str) -> str:
        """A message of the catalog."""
        return self.catalog.say(message).format(**parts)

    def metric(self, name: str, unit: str) -> str:
        """Name of a metric with its unit, for an axis."""
        base, statistic = split_metric(name)
        words = self.say(METRICS[base])
        if statistic:
            shown = self.say(STATISTICS[statistic]) if statistic in STATISTICS else statistic
            words = self.say(N_("{metric}, {statistic}"), metric=words, statistic=shown)
        return self.say(N_("{metric} ({unit})"), metric=words, unit=self.unit(unit))

    def unit(self, unit: str) -> str:
        """A unit by itself, as this language writes it."""
        return self.say(UNITS[unit][-1], number="").strip() if unit in UNITS else unit

    def language_name(self, language: str) -> str:
        """A language's name in words."""
        return self.say(LANGUAGES[language]) if language in LANGUAGES else language
