"""A question as the bytes of an HTTP/1.1 request."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import orjson

from serving_study.study.errors import StudyError

KEY_VARIABLE = "SERVING_STUDY_API_KEY"


def http_payload(host: str, port: int, path: str, body: Mapping[str, Any]) -> bytes:
    """A POST of ``body`` as JSON. Compression is refused, so that bytes on the wire are bytes of text."""
    if re.search(r"[^\x21-\x7e]", host + path):
        raise StudyError(
            f"URL {host}{path}: must hold ASCII only, with no spaces and no control characters: write a host's other "
            "letters in Punycode (xn--...) and a path's percent-encoded (%EA%B0%80)"
        )
    try:
        content = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise StudyError(f"request to {host}{path}: its body cannot be written as JSON ({error})") from error
    name = f"[{host}]" if ":" in host else host
    authority = name if port in (80, 443) else f"{name}:{port}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: llm-serving-study\r\nAccept: */*\r\n"
        f"Accept-Encoding: identity\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode("ascii") + content


def with_key(payload: bytes, key: str | None) -> bytes:
    """The request as it is sent: with the bearer key, which neither the schedule nor a file ever holds."""
    if key is None:
        return payload
    line, rest = payload.split(b"\r\n", 1)
    return line + b"\r\nAuthorization: Bearer " + key.encode("ascii") + b"\r\n" + rest


def key_from_environment(variable: str = KEY_VARIABLE) -> str | None:
    """The bearer key, or None where the variable is unset or empty."""
    key = os.environ.get(variable, "")
    if not key:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise StudyError(f"environment variable {variable}: a key holds printable ASCII characters only, and no spaces")
    return key
