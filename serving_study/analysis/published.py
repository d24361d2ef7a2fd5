"""Published numbers: a file of ``config/claims/``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from serving_study.study.errors import StudyError
from serving_study.study.types import Strict

ALL = "all"
UNSTATED = "unstated"
"""Stands for a model that was not named."""
UNITS = {"ms": ("ns", 1e6), "GB": ("byte", 1e9), "s": ("ns", 1e9), "%": ("1", 0.01)}
"""Printed unit to the unit of the tables and the factor."""


def half_digit(printed: float) -> float:
    """Half of the last digit that was printed."""
    return 0.5 / float(10 ** len(f"{printed:.12g}".partition(".")[2]))


class Claim(Strict):
    """One published number of an engine (or of all). No load stands beside it: none was stated."""

    engine: str = ALL
    model: str = ALL
    language: str = ALL
    metric: str
    value: float
    unit: Annotated[str, Field(min_length=1)]
    of: Annotated[float, Field(gt=0)] | None = None
    """The whole that it was printed as a part of: 299 of 300."""

    @property
    def printed(self) -> str:
        """As it stood on paper."""
        return f"{self.value:.12g} {self.unit}" if self.of is None else f"{self.value:.12g}/{self.of:.12g}"

    @property
    def exact(self) -> tuple[float, str]:
        """Value and unit as the tables have them."""
        unit, factor = UNITS.get(self.unit, (self.unit, 1.0))
        return self.value * factor / (self.of or 1), unit

    @property
    def rounding(self) -> float:
        """Half of the last printed digit, in the unit of the tables."""
        return half_digit(self.value) * UNITS.get(self.unit, ("", 1.0))[1] / (self.of or 1)

    @property
    def quantity(self) -> tuple[str, str, str, str]:
        """What it is a number of."""
        return self.metric, self.engine, self.model, self.language


class RatioClaim(Strict):
    """One engine against another, as it was printed."""

    of: str
    to: str
    language: str = ALL
    metric: str
    value: float
    form: Literal["times", "percent-more", "percent-less"]

    @property
    def printed(self) -> str:
        """As it stood on paper."""
        return f"{self.value:.12g}" + {"times": "x", "percent-more": " % more", "percent-less": " % less"}[self.form]

    @property
    def ratio(self) -> float:
        """The printed number as ``of`` divided by ``to``."""
        share = self.value / 100
        return self.value if self.form == "times" else 1 + share if self.form == "percent-more" else 1 - share

    @property
    def rounding(self) -> float:
        """Half of the last printed digit, as a ratio."""
        return half_digit(self.value) / (1 if self.form == "times" else 100)


class Sum(Strict):
    """A whole and its parts, by the ids of their claims."""

    whole: str
    parts: tuple[str, ...]


class Share(Strict):
    """A percentage and the two numbers that it is of, by the ids of their claims."""

    share: str
    part: str
    whole: str


class Best(Strict):
    """Who was called the best in a metric: an engine or a language."""

    engine: str | None = None
    language: str | None = None
    metric: str


class EngineBasis(Strict):
    """What an engine's published numbers stand on."""

    memory: Literal["reserved", "used"]
    weights: str | None = None
    """Type of the weights; None where it was not said."""


class Published(Strict):
    """One file of ``config/claims/``."""

    title: str
    accelerator: str
    models: tuple[str, ...]
    languages: tuple[str, ...]
    engines: dict[str, EngineBasis]
    claims: dict[str, Claim]
    ratios: dict[str, RatioClaim] = Field(default_factory=dict)
    sums: dict[str, Sum] = Field(default_factory=dict)
    shares: dict[str, Share] = Field(default_factory=dict)
    best: dict[str, Best] = Field(default_factory=dict)
    recommendations: dict[str, str] = Field(default_factory=dict)


def read_published(path: Path) -> Published:
    """The file, checked. Raises StudyError naming the key."""
    try:
        return Published.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); name a file of config/claims/") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise StudyError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
