"""How much of a share is certain."""

from __future__ import annotations

from scipy import stats


def certain_share(kept: int, n: int, level: float = 0.95) -> float:
    """One-sided lower confidence bound of a share of which ``kept`` of ``n`` were seen (Clopper and Pearson, exact)."""
    return float(stats.beta.ppf(1 - level, kept, n - kept + 1)) if kept else 0.0


def needed(share: float, level: float = 0.95) -> int:
    """Smallest n at which even all of them kept can show ``share``."""
    n = 1
    while certain_share(n, n, level) < share:
        n += 1
    return n
