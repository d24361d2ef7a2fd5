"""What the report says, for machines."""

from __future__ import annotations

from typing import Any

import orjson

from serving_study.report.facts import Facts
from serving_study.report.markers import Shown


def machine_report(facts: Facts, shown: Shown) -> dict[str, Any]:
    """Content of ``report.json``: every fact that the report shows, in the order in which it first shows it."""
    return {"study": facts.study, "facts": [fact.model_dump() for fact in shown.facts()]}


def as_json(content: Any) -> bytes:
    """The same content as the same bytes."""
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
