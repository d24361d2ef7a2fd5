"""Prompts from anywhere: a JSONL file of one's own, or made to a number of tokens."""

from __future__ import annotations

import json
import random
from collections import Counter
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
    """Prompts of a JSONL file: a string a line, or an object with ``text``, ``prompt`` or ``messages`` and maybe ``id``.

    Prompts without one are called by their line. Raises StudyError naming file and line, for a conversation, too: a
    request is one message of a user, to which the nonce goes.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    prompts = [_prompt(line, f"{path}:{number}", number) for number, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise StudyError(f"{path}: has no prompts; write one JSON string or object with text a line")
    twice = next((name for name, n in Counter(prompt.id for prompt in prompts).items() if n > 1), None)
    if twice is not None:
        raise StudyError(f"{path}: id = {twice!r}: stands on several lines; ids must be unique")
    return tuple(prompts)


def _prompt(line: str, where: str, number: int) -> Prompt:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{where}: {line[:60]!r} is no JSON ({error}); one string or object a line") from error
    text = found if isinstance(found, str) else _text(found, where) if isinstance(found, dict) else None
    if not isinstance(text, str) or not text:
        raise StudyError(f"{where}: holds no text; write a string, or an object with text, prompt or messages")
    name = found.get("id") if isinstance(found, dict) else None
    if name is None:
        name = f"line-{number}"
    elif not isinstance(name, str | int) or not str(name):
        raise StudyError(f"{where}: id = {str(name)[:60]!r}: must be a text or a number")
    return Prompt.model_construct(id=str(name), kind="own", length="short", text=text)


def _text(found: dict[str, Any], where: str) -> Any:
    messages = found.get("messages")
    if not isinstance(messages, list) or not messages:
        return found.get("text") or found.get("prompt")
    if len(messages) > 1:
        raise StudyError(
            f"{where}: holds {len(messages)} messages; a request asks one: write what is to be asked as text, "
            "or leave one message"
        )
    message = messages[0]
    if not isinstance(message, dict):
        return None
    if message.get("role", "user") != "user":
        raise StudyError(f"{where}: messages.0.role = {message['role']!r}: only a user's message can be asked")
    return message.get("content")
