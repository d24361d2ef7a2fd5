"""Prompt sets, and the nonce that gives each request its own beginning."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from serving_study.study.errors import StudyError
from serving_study.study.types import Name, Strict

PIECES = tuple(
    """
    ab ac af ag al ap ar au av aw ax az ba bc bg bi bl bo br bu ca cb cc cd ce cf ch cl cm cp cr cs cu cv cy da dc df
    dp dr ds dt du dw dx dy ec eg ep eq es et eu ev ey fe fi fl fn fo fr fs ft fu ga ge gi gl gr gu gy hr hy ib ic ie
    ig ii im ip ir iv ja je jo ju ka ke kg km kn kw lb li ll ly md mg mk ml mp ms mt nd ng nn np ns nu ny ob od ol om
    ot ou ov oz pd pe pg ph pl pm po pp pr ps pt qu ra rc rh rm ro rs ru sa sc se si sk sl sm sn sp sq ss st su sw sy
    te tf th tr ts tu tw tx ty ub uk ul ur ut va vi vm vo vs wa wh wr wx ya ze zu
    """.split()  # noqa: SIM905
)
"""Two letters that are no word, yet one token at the start of a text and after a space in the tokenizers of SmolLM2,
Gemma 3, Llama 2, Qwen2.5 and Yi: a nonce costs the same number of tokens whatever it says."""


class Prompt(Strict):
    """One line of a prompt set: the same ``id`` means the same content in every language."""

    id: Name
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]
    """``question``, ``explanation``, ``summary``, ``code`` or ``dialogue`` in the project's own sets."""
    length: Literal["short", "long"]
    text: Annotated[str, Field(min_length=1)]

    def asked(self, nonce: str) -> str:
        """The text as it is sent; an empty nonce leaves it as it is, so that a prefix cache may help."""
        return f"{nonce}\n{self.text}" if nonce else self.text


def load(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a JSONL file in the order of its lines.

    Raises StudyError naming file, line and key.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(
            f"{path}: cannot be read as UTF-8 text ({error}); a prompt set is one JSON object a line"
        ) from None
    prompts: dict[str, Prompt] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        prompt = _parse(line, f"{path}:{number}")
        if prompt.id in prompts:
            raise StudyError(f'{path}:{number}: id = "{prompt.id}": stands on an earlier line too; ids must be unique')
        prompts[prompt.id] = prompt
    if not prompts:
        raise StudyError(f"{path}: has no prompts; write at least one JSON object with id, kind, length and text")
    return tuple(prompts.values())


def _parse(line: str, where: str) -> Prompt:
    try:
        return Prompt.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "line"
        value = "" if first["type"] == "missing" else f" = {str(first['input'])[:80]!r}"
        raise StudyError(f"{where}: {key}{value}: {first['msg']}; allowed keys: id, kind, length, text") from None


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def nonce(seed: int, request: int, *where: str | int) -> str:
    """Four pieces that begin the prompt of request number ``request``, e.g. ``ke ul fr zo``.

    The same on every engine and machine for the same arguments. ``where`` names what the request numbers count within
    (a language and a replicate, say). Within it all nonces differ, and requests nearer than ``len(PIECES)`` differ
    in the very first piece, so that a prefix cache finds not even one token of another request.
    """
    scope = f"{seed}/{'/'.join(map(str, where))}"
    order = _order(scope)
    count = len(order)
    tail = hashlib.sha256(f"{scope}#{request}".encode()).digest()
    third, fourth = (int.from_bytes(tail[at : at + 8], "big") for at in (0, 8))
    second = request // count + request + 1
    return " ".join(order[index % count] for index in (request, second, third, fourth))


@lru_cache(maxsize=64)
def _order(scope: str) -> tuple[str, ...]:
    return tuple(sorted(PIECES, key=lambda piece: hashlib.sha256(f"{scope}:{piece}".encode()).digest()))
