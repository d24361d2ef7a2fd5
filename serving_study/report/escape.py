"""Study text and model output as Markdown: data, never markup."""

from __future__ import annotations

import re

from serving_study.report.markers import plain

_SPECIAL = re.compile(r"([\\`*_\[\]|~#$!])")
_RUNS = re.compile("`+")


def markdown(text: str) -> str:
    """Text that a Markdown reader shows as it is, also inside a table."""
    safe = plain(text).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _SPECIAL.sub(r"\\\1", safe).replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
    return safe.replace("@", "&#64;")


def code(text: str) -> tuple[str, str, str]:
    """Fence, text and fence of a code span, also inside a table."""
    safe = plain(text).replace("|", r"\|") or " "
    fence = "`" * (max((len(run) for run in _RUNS.findall(safe)), default=0) + 1)
    padding = " " if "`" in (safe[0], safe[-1]) else ""
    return fence + padding, safe, padding + fence
