"""Control requests to a server, beside its completions: what it runs with, its counters, loading on demand.

An external server may ask for the bearer key here, too, and may stand behind a gateway that lets nothing but completions
through: what it does not tell is left out. A server of the study's own that does not answer is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from serving_study.engines.base import Server
from serving_study.load.payload import key_from_environment
from serving_study.telemetry import prometheus

T = TypeVar("T")


def headers(server: Server) -> dict[str, str]:
    """The bearer key of the environment, for an external server; no key reaches another one."""
    key = key_from_environment() if server.spec.external else None
    return {"Authorization": f"Bearer {key}"} if key else {}


def told(server: Server, path: str, timeout_s: float = 10) -> dict[str, Any]:
    """The JSON object at ``path``; an empty one where an external server tells none. Raises what ``read`` raises."""
    return read(server, path, lambda answer: dict(answer.json()), {}, timeout_s=timeout_s)


def counters(server: Server, names: Mapping[str, str], at: str | None = None) -> dict[str, float]:
    """Our names of counters to their values on ``/metrics``, as ``prometheus.pick`` reads them."""
    return read(server, "/metrics", lambda answer: prometheus.pick(answer.text, names), {}, at, timeout_s=5)


def read(
    server: Server,
    path: str,
    understood: Callable[[requests.Response], T],
    nothing: T,
    at: str | None = None,
    body: Mapping[str, Any] | None = None,
    timeout_s: float = 10,
) -> T:
    """What ``understood`` makes of the answer; ``nothing`` where an external server gives no such answer.

    ``at`` is the base URL of one of the server's processes in place of its own; a ``body`` is posted. Raises
    requests.RequestException, or what ``understood`` raises, for a server of the study's own.
    """
    try:
        answer = requests.request(
            "GET" if body is None else "POST",
            f"{at or server.url}{path}",
            json=body,
            headers=headers(server),
            timeout=timeout_s,
        )
        answer.raise_for_status()
        return understood(answer)
    except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):  # or one of another shape
        if not server.spec.external:
            raise
        return nothing
