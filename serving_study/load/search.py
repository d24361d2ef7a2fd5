"""The highest load that keeps an objective: doubled until it breaks, then halved in between."""

from __future__ import annotations

import math
from collections.abc import Callable


def highest_users(keeps: Callable[[int], bool], most: int) -> int:
    """Most users, up to ``most``, with which ``keeps`` holds; 0 where it does not hold with one. Exact to a user."""
    low, high = 0, 1
    while keeps(high):
        low = high
        if low >= most:
            return low
        high = min(2 * low, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low


def highest_rate(keeps: Callable[[float], bool], first: float, most: float, step: float) -> float:
    """Highest rate, up to ``most``, with which ``keeps`` holds, to within a factor of ``step``.

    Begins with ``first`` and goes down to a thousandth of it before it gives up with 0.
    """
    low, high = 0.0, first
    while keeps(high):
        low = high
        if low >= most:
            return low
        high = min(2 * low, most)
    while not low:
        if high < first / 1000:
            return 0.0
        if keeps(high / 2):
            low = high / 2
        else:
            high /= 2
    while high / low > step:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low
