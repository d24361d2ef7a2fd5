"""Any URL that speaks OpenAI's or Ollama's API: where to ask, and how to word it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from serving_study.engines.base import Question
from serving_study.study.errors import StudyError

PATHS = {
    "chat": ("/v1/chat/completions", "openai-chat"),
    "completions": ("/v1/completions", "openai-completions"),
    "ollama": ("/api/chat", "ollama"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go: a base URL, and the path below it."""

    base: str
    path: str
    dialect: str

    def ask(self, model: str, more: Mapping[str, Any]) -> Callable[[str, int, int], Question]:
        """How ``model`` is asked; ``more`` goes into each request's body."""

        def question(prompt: str, max_tokens: int, seed: int) -> Question:
            if self.dialect == "ollama":
                options = {"num_predict": max_tokens, "temperature": 0, "seed": seed}
                body: dict[str, Any] = {"model": model, "stream": True, "options": options}
            else:
                body = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
                body |= {"max_tokens": max_tokens, "temperature": 0, "seed": seed}
            asked = {"prompt": prompt}
            if self.path.endswith("/chat/completions") or self.path.endswith("/api/chat"):
                asked = {"messages": [{"role": "user", "content": prompt}]}  # type: ignore[dict-item]
            return Question(self.path, {**body, **asked, **more}, self.dialect)

        return question


def endpoint(url: str, api: str) -> Endpoint:
    """A URL as people write it: the server's root, its ``/v1``, or the whole path of the API."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StudyError(f"--url {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StudyError(f"--url {url}: must begin with http:// or https:// and name a host")
    if not (parts.hostname + parts.path).isascii():
        raise StudyError(
            f"--url {url}: must hold ASCII only: write a host's other letters in Punycode (xn--...) and a path's "
            "percent-encoded (%EA%B0%80)"
        )
    if parts.username or parts.query or parts.fragment:
        raise StudyError(f"--url {parts.scheme}://{parts.hostname}...: must hold no password, query or fragment")
    path, dialect = PATHS[api]
    below = parts.path.rstrip("/")
    for whole, spoken in (*PATHS.values(), ("/api/generate", "ollama")):
        if below.endswith(whole):
            below, path, dialect = below.removesuffix(whole), whole, spoken
            break
    below = below.removesuffix("/v1") if path.startswith("/v1/") else below
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Endpoint(f"{parts.scheme}://{name}{f':{port}' if port else ''}{below}", path, dialect)
