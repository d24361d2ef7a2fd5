"""Ready means: a real completion with the exact model name came back, whole. Nothing less says so."""

from __future__ import annotations

import time

import psutil
import requests

from serving_study.engines.base import Question, Server
from serving_study.serving.control import headers

PAUSE_S = 0.05
READ_S = 300.0
"""Longest silence inside one answer: a first answer may have to compile."""


def wait_until_ready(server: Server, question: Question) -> None:
    """Ask until the answer is whole.

    Raises ConnectionError as soon as the server's process is gone, TimeoutError with the last reason once the server's
    ``start_timeout_s`` is over.
    """
    end = time.monotonic() + server.spec.start_timeout_s
    while (why := answers(server, question, end - time.monotonic())) is not None:
        if server.pid is not None and not psutil.pid_exists(server.pid):
            raise ConnectionError("its process is gone")
        if time.monotonic() > end:
            raise TimeoutError(why)
        time.sleep(PAUSE_S)


def answers(server: Server, question: Question, patience_s: float) -> str | None:
    """None when the whole answer came, else why not."""
    url = server.url + question.path
    timeout = (5, max(1.0, min(READ_S, patience_s)))
    try:
        with requests.post(
            url, json=dict(question.body), headers=headers(server), timeout=timeout, stream=True
        ) as answer:
            text = answer.content
            if answer.status_code != 200:
                return f"{question.path} answers {answer.status_code}: {answer.text[:300]}"
            return None if b"error" not in text[:40] else f"{question.path} answers {answer.text[:300]}"
    except requests.RequestException as problem:
        return f"{question.path}: {type(problem).__name__}"
