"""The request as it was written to the wire, to the length of its prompt."""

from __future__ import annotations

from typing import Any

import orjson


def prompt_characters(payload: bytes) -> int | None:
    """Characters of the prompt in an HTTP request: a prompt as it is, or the contents of its messages; None without one."""
    try:
        body = orjson.loads(payload.partition(b"\r\n\r\n")[2])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    if isinstance(prompt := body.get("prompt"), str):
        return len(prompt)
    contents = [_content(m) for m in body.get("messages") or ()]
    return sum(map(len, contents)) if contents else None


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""
