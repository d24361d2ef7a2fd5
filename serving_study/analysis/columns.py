"""Columns that several tables share."""

from __future__ import annotations

from serving_study.analysis.table import Column


def text(name: str, says: str, nullable: bool = False) -> Column:
    """A column of names, codes or words."""
    return Column(name, "text", "name", says, nullable)


DEPLOYMENT = text("deployment", "deployment of the study")
ENGINE = text("engine", "engine of the deployment")
LANGUAGE = text("language", "language of the prompts")
REPLICATE = Column("replicate", "integer", "1", "number of the replicate")
MODEL = text("model", "model asked; * where the value is of the whole deployment")
WORKLOAD = text("workload", "workload; * where the value is of the whole life")
METRIC = text("metric", "metric, see docs/metrics.md")
LIFE = text("life", "id of the server life: lives, not requests, are independent")
BLOCK = text("block", "replicate, host and session: only values of one block are paired")
SCOPE = text(
    "scope",
    "headline: geometric mean over all cells that both have; cell: one model, language and workload",
)
SUBJECT = (
    SCOPE,
    METRIC,
    text("model", "model, or all"),
    text("language", "language, or all"),
    text("workload", "workload, or all"),
)
BETTER = text("better", "higher, lower or neither: which values are better")
UNIT = text("unit", "unit of value, low and high")


def number(name: str, unit: str, says: str) -> Column:
    """A column of numbers, null where there is none."""
    return Column(name, "number", unit, says, nullable=True)


def integer(name: str, unit: str, says: str, nullable: bool = False) -> Column:
    """A column of counts."""
    return Column(name, "integer", unit, says, nullable)


LEVEL = number("level", "1", "confidence level of the interval")
REASON = text("reason", "code that says why there is no value, interval or decision", nullable=True)
