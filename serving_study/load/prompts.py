"""Prompts from anywhere: a JSONL file of one's own, or made to a number of tokens."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from serving_study.study.errors import StudyError
from serving_study.study.prompts import PIECES, Prompt


def synthetic(tokens: int, n: int, seed: int) -> tuple[Prompt, ...]:
    """``n`` prompts of ``tokens`` tokens each, chat template and nonce not counted: two-letter pieces of one token each."""
    prompts = []
    for i in range(n):
        draw = random.Random(f"{seed}:{tokens}:{i}")
        text = " ".join(draw.choice(PIECES) for _ in range(tokens))
        prompts.append(Prompt(id=f"synthetic-{i}", kind="synthetic", length="short", text=text))
    return tuple(prompts)


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """Prompts of a JSONL file: a string a line, or an object with ``text``, ``prompt`` or ``messages`` and maybe ``id``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    prompts = [_prompt(line, f"{path}:{number}", number) for number, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise StudyError(f"{path}: has no prompts; write one JSON string or object with text a line")
    return tuple(prompts)


def _prompt(line: str, where: str, number: int) -> Prompt:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where}: {line[:60]!r} is no JSON ({error}); one string or object a line") from error
    text = found if isinstance(found, str) else _text(found) if isinstance(found, dict) else None
    if not isinstance(text, str) or not text:
        raise StudyError(f"{where}: holds no text; write a string, or an object with text, prompt or messages")
    return Prompt(id=f"line-{number}", kind="own", length="short", text=text)


def _text(found: dict[str, Any]) -> Any:
    messages = found.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content")
    return found.get("text") or found.get("prompt")
