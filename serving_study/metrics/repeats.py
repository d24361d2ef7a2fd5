"""Runs of events that differ in nothing but their text, which is nearly all of a stream, read without parsing each.

The events of a stream repeat their id, model and all other fields. Once one was parsed, its bytes before and after the
text are a pattern: following events that have the same bytes there are the same JSON document but for that one string.
This is exact, not a guess: the pattern is accepted only if another text put in its hole comes out as the only thing
that the document says, and what is found in the hole must be the inside of one JSON string, which neither a quote nor a
line break can end early.
"""

from __future__ import annotations

import re
from itertools import accumulate, takewhile
from typing import NamedTuple

import orjson

from serving_study.metrics.documents import TEXT, Said, parse, read
from serving_study.metrics.framing import Framing

_HOLE = re.compile(rb'"(?:%b)": ?"((?:[^"\\]|\\.)+)"' % b"|".join(name.encode() for name in TEXT))
_PROBE = b"probe"


class Pattern(NamedTuple):
    """An event without its text."""

    before: bytes
    after: bytes
    end: bytes
    """What ends an event of this stream."""

    def run(self, body: bytes, start: int, most: int) -> tuple[list[str], list[int]]:
        """Texts of the events from ``start`` on that fit, and where each ends; at most ``most`` bytes are looked at."""
        before, after, end = self
        blocks = body[start : start + most].split(end)
        blocks.pop()
        while blocks and not (blocks[-1].startswith(before) and blocks[-1].endswith(after)):
            blocks.pop()
        first, last = len(before), -len(after)
        holes = [block[first:last] for block in blocks]
        if not body.startswith(before + (after + end + before).join(holes) + after + end, start):
            fitting = takewhile(lambda both: before + both[0] + after == both[1], zip(holes, blocks, strict=True))
            holes = [hole for hole, _ in fitting]
        texts = _strings(holes)
        around = len(before) + len(after) + len(end)
        return texts, list(accumulate([len(hole) + around for hole in holes[: len(texts)]], initial=start))[1:]


def learn(block: bytes, framing: Framing) -> Pattern | None:
    """The pattern of an event that was just read, or None if it says anything but one text."""
    if not block.startswith(framing.lead) or b"\n" in block:
        return None
    for match in _HOLE.finditer(block):
        before, after = block[: match.start(1)], block[match.end(1) :]
        said = Said()
        if read(parse(before[len(framing.lead) :] + _PROBE + after), said) == _PROBE.decode() and said == Said():
            return Pattern(before, after, framing.end)
    return None


def _strings(holes: list[bytes]) -> list[str]:
    """The strings in the holes up to the first hole that is not the inside of one JSON string."""
    joined = b'","'.join(holes)
    if joined.count(b'"') == 2 * (len(holes) - 1):
        # No quote in any hole: a hole cannot make two strings, so equal counts mean one string each.
        try:
            together: list[str] = orjson.loads(b'["%b"]' % joined) if holes else []
        except orjson.JSONDecodeError:
            together = []
        if len(together) == len(holes):
            return together
    strings: list[str] = []
    for hole in holes:
        try:
            strings.append(orjson.loads(b'"%b"' % hole))
        except orjson.JSONDecodeError:
            break
    return strings
