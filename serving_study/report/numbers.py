"""Numbers as a reader of a language writes them, each with its unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from babel import Locale
from babel.numbers import format_decimal, format_percent

from serving_study.report.words import UNITS

_STEPS = {
    "ns": ((10e9, 1e9, "s"), (0, 1e6, "ms")),
    "byte": ((2**30, 2**30, "GiB"), (0, 2**20, "MiB")),
    "decimal byte": ((1e9, 1e9, "GB"), (0, 1e6, "MB")),
}
"""Stored unit to (smallest magnitude, divisor, shown unit), largest first."""
_SHOWN = {"1/s": "request/s", "1": "", "": "", "name": "", "text": ""}
_TIMES = "×"


@dataclass(frozen=True, slots=True)
class Numbers:
    """How one language writes numbers."""

    locale: Locale
    say: Callable[[str], str] = str
    """Looks a message of the catalog up."""

    def value(self, value: float, unit: str, low: float | None = None, high: float | None = None) -> str:
        """``412 token/s`` or, with an interval, ``412 token/s [398, 427]``."""
        divisor, shown = scale(value, unit)
        number = self._bare(value / divisor, shown)
        text = number if shown in ("", "%") else self.with_unit(number, shown, one=value / divisor == 1)
        if low is None or high is None:
            return text
        return f"{text} [{self._bare(low / divisor, shown)}, {self._bare(high / divisor, shown)}]"

    def interval(self, low: float, high: float, unit: str) -> str:
        """``398 to 427 token/s`` written ``[398, 427] token/s``."""
        divisor, shown = scale(high, unit)
        ends = f"[{self._bare(low / divisor, shown)}, {self._bare(high / divisor, shown)}]"
        return ends if shown in ("", "%", _TIMES) else self.with_unit(ends, shown)

    def count(self, value: float) -> str:
        """A whole number with the language's grouping."""
        return str(format_decimal(value, format="#,##0", locale=self.locale))

    def with_unit(self, number: str, shown: str, one: bool = False) -> str:
        """A written number with a unit as this language writes it."""
        if shown in UNITS:
            singular, plural = UNITS[shown]
            return self.say(singular if one else plural).format(number=number)
        return f"{number} {shown}"

    def _bare(self, value: float, shown: str) -> str:
        if shown == "%":
            return str(format_percent(value, format=_pattern(value * 100) + "%", locale=self.locale))
        return str(format_decimal(value, format=_pattern(value), locale=self.locale))


def scale(value: float, unit: str) -> tuple[float, str]:
    """Divisor and shown unit for a value in a stored unit."""
    if unit == "share":
        return 1, "%"
    if unit == "ratio":
        return 1, _TIMES
    for least, divisor, shown in _STEPS.get(unit, ()):
        if abs(value) >= least:
            return divisor, shown
    return 1, _SHOWN.get(unit, unit)


def _pattern(value: float) -> str:
    """Three significant digits, and never fewer digits than the whole number has."""
    if value == 0 or not math.isfinite(value) or float(value).is_integer():
        return "#,##0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return "#,##0." + "0" * decimals if decimals else "#,##0"
