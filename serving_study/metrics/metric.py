"""What a metric is: a short pure function with a name, a unit, a direction, its needs and a definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from serving_study.metrics.request import Request

Better = Literal["lower", "higher", "neither"]
Scope = Literal["request", "point", "deployment"]


class Value(NamedTuple):
    """A point metric's value, from how many things it was made, and why there is none."""

    value: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the registry."""

    name: str
    scope: Scope
    unit: str
    better: Better
    needs: tuple[str, ...]
    """Fields of what it is computed from, so that a reader can recompute it."""
    least: int
    """Smallest n at which a point's value is shown."""
    definition: str
    read: Callable[..., Any]

    @property
    def title(self) -> str:
        """The definition's first line."""
        return self.definition.partition("\n")[0]


REQUEST: dict[str, Metric] = {}
POINT: dict[str, Metric] = {}

_R = TypeVar("_R", bound="Callable[[Request], int | str | bool | None]")
_P = TypeVar("_P", bound="Callable[..., Value]")


def metric(
    name: str, *, unit: str, needs: tuple[str, ...], better: Better = "neither", definition: str = ""
) -> Callable[[_R], _R]:
    """Register a metric of one request; its definition is the function's docstring unless given."""

    def register(function: _R) -> _R:
        REQUEST[name] = Metric(
            name, "request", unit, better, needs, 1, cleandoc(definition or function.__doc__ or ""), function
        )
        return function

    return register


def point_metric(
    name: str,
    *,
    unit: str,
    needs: tuple[str, ...],
    better: Better = "neither",
    least: int = 1,
    scope: Scope = "point",
    definition: str = "",
) -> Callable[[_P], _P]:
    """Register a metric of one point (or of a whole deployment in one life), shown from ``least`` values on."""

    def register(function: _P) -> _P:
        POINT[name] = Metric(
            name, scope, unit, better, needs, least, cleandoc(definition or function.__doc__ or ""), function
        )
        return function

    return register
