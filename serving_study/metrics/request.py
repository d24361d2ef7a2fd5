"""One request as the request metrics see it: when it was meant, sent and answered, and what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from serving_study.metrics.answer import Answer, Counts, answer
from serving_study.metrics.wire import NOTHING, Reply, Times, Wire, reply


@dataclass(frozen=True, slots=True)
class Span:
    """The measuring window of a point, in ns."""

    measured_from: int
    ended: int


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer. Times are ns of the monotonic clock; None where it never came to that."""

    row: dict[str, Any]
    """Its row of ``requests.parquet``, the payload left out."""
    intended_at: int
    """When the schedule wanted it sent."""
    sent_at: int | None
    """Just before its first byte was written."""
    connect_at: int | None
    """When connecting began; None on a connection in use again."""
    connected_at: int | None
    """When the connection stood."""
    prompt_characters: int | None
    """Characters of the prompt as sent, its nonce included."""
    span: Span | None
    """None when the cell knows no window of its point."""
    answer: Answer
    error: str | None
    """Why it does not count as answered; None when it does. See ``ERRORS``."""
    event_at: int | None
    """When the first event was complete."""
    text_at: Times
    """When each piece of generated text was complete."""
    chunk_at: Times
    """When each arrival that completed generated text came: pieces that came together count once."""
    lag: int | None
    """How long the first or the last generated text, the larger, waited for the client; None where the kernel did not say."""

    @property
    def measured(self) -> bool:
        """It was intended inside the measuring window."""
        return self.span is not None and self.span.measured_from <= self.intended_at <= self.span.ended


def request(row: dict[str, Any], prompt_characters: int | None, span: Span | None, wire: Wire = NOTHING) -> Request:
    """Read a request's answer off the wire."""
    got = reply(wire)
    readable = got.status == 200 and _identity(got)
    said = answer(str(row["dialect"]), got.body) if readable else Answer()
    arrived = wire.arrived
    arrivals = np.searchsorted(got.ends, said.ends, "left")
    of_text = arrivals[said.pieces]
    text_at = arrived[of_text]
    return Request(
        row=row,
        intended_at=int(row["intended_ns"]),
        sent_at=row["sent_ns"],
        connect_at=row["connect_ns"],
        connected_at=row["connected_ns"],
        prompt_characters=prompt_characters,
        span=span,
        answer=said,
        error=_error(str(row["outcome"]), got, said),
        event_at=int(arrived[arrivals[0]]) if len(arrivals) else None,
        text_at=text_at,
        chunk_at=_once(text_at, of_text),
        lag=_lag(wire, arrived, of_text),
    )


def _once(text_at: Times, arrivals: Counts) -> Times:
    if len(arrivals) < 2:
        return text_at
    first = np.empty(len(arrivals), bool)
    first[0] = True
    np.not_equal(arrivals[1:], arrivals[:-1], out=first[1:])
    return text_at[first]


def _lag(wire: Wire, arrived: Times, of_text: Counts) -> int | None:
    if wire.kernel is None or not len(of_text):
        return None
    first, last = int(of_text[0]), int(of_text[-1])
    return max(int(wire.received[i]) - int(arrived[i]) for i in (first, last))


ERRORS = {
    "refused": "the server took no connection",
    "tls": "the encrypted connection could not be made",
    "reset": "the server broke the connection off",
    "closed": "the server closed the connection before its answer was complete",
    "deadline": "no complete answer within the workload's deadline; what came until then is kept",
    "overflow": "the answer outgrew what the recorder keeps of one request",
    "exhausted": "the client itself had no file or port left for a connection",
    "interrupted": "the measuring was stopped before the request had ended",
    "not-http": "what came back is not HTTP",
    "redirect": "the server sent the client elsewhere (3xx); redirects are not followed",
    "http-NNN": "the server answered with this status",
    "encoded": "the answer was compressed though identity was asked for",
    "html": "the answer is a web page",
    "not-a-stream": "status 200, but no event of the expected stream in it",
    "stream-error": "the stream itself reported an error, or ended with `error` or `abort` for its finish reason",
    "malformed": "an event of the stream was not the JSON object that its dialect asks for",
    "truncated": "the connection's own framing says that bytes are missing",
    "unfinished": "the stream ended without a finish reason, usage or [DONE]",
    "no-text": "the stream ended well but held no generated text",
}


def _identity(got: Reply) -> bool:
    return got.headers.get("content-encoding", "identity").lower() == "identity"


def _error(outcome: str, got: Reply, said: Answer) -> str | None:
    """The first cause that applies, nearest to the wire first."""
    if got.broken:
        return "not-http"
    if got.status is None:
        return outcome if outcome != "complete" else "closed"
    if 300 <= got.status < 400:
        return "redirect"
    if got.status != 200:
        return f"http-{got.status}"
    if not _identity(got):
        return "encoded"
    if "html" in got.headers.get("content-type", ""):
        return "html"
    if said.failed:
        return "stream-error"
    if not got.complete and (got.framed or outcome not in ("complete", "closed")):
        return "truncated" if outcome == "complete" else outcome
    return _error_of_stream(said)


def _error_of_stream(said: Answer) -> str | None:
    if said.events == said.malformed and not said.finished:
        return "not-a-stream"
    if said.malformed:
        return "malformed"
    if not said.finished:
        return "unfinished"
    return None if len(said.pieces) else "no-text"
