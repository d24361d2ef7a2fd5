"""How far a point is, on stderr: a line that is written over on a terminal, else one now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

EVERY_S = 10.0


class Meter:
    """Called by the recorder a few times a second with requests done and in all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = self.said = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """Say it, but seldom where each time is a line of its own."""
        at = time.monotonic()
        if self.terminal:
            print(f"\r{self.name}: {done}/{total} requests", end="", file=sys.stderr, flush=True)
        elif at - self.said >= EVERY_S:
            self.said = at
            print(f"{self.name}: {done}/{total} requests", file=sys.stderr, flush=True)

    def done(self, outcomes: Mapping[str, int]) -> None:
        """The last line: how the requests ended on the wire."""
        ended = ", ".join(f"{n} {name}" for name, n in outcomes.items())
        start = "\r" if self.terminal else ""
        print(f"{start}{self.name}: {ended} in {time.monotonic() - self.began:.1f} s", file=sys.stderr, flush=True)
