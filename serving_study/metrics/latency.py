"""Times of one request, in whole nanoseconds."""

from __future__ import annotations

from serving_study.metrics.metric import metric
from serving_study.metrics.request import Request


@metric("ttft", unit="ns", needs=("intended_ns", "chunks"), better="lower")
def time_to_first_token(request: Request) -> int | None:
    """Time from the intended send to the first byte of generated text.

    Generated text is reasoning or content: neither a delta that only names the role nor an empty one counts. The time is
    that of the bytes which completed the event that holds the text. None when the request produced no text.
    """
    return _since(request.intended_at, request.text_at[0]) if len(request.text_at) else None


@metric("ttft_sent", unit="ns", needs=("sent_ns", "chunks"), better="lower")
def time_to_first_token_from_send(request: Request) -> int | None:
    """Time from the actual send to the first byte of generated text.

    Leaves out what the client and the connection cost, and with it the waiting that a late schedule hides.
    """
    return _since(request.sent_at, request.text_at[0]) if len(request.text_at) else None


@metric("ttfe", unit="ns", needs=("intended_ns", "chunks"), better="lower")
def time_to_first_event(request: Request) -> int | None:
    """Time from the intended send to the first event of any kind, a role-only or empty one included."""
    return None if request.event_at is None else _since(request.intended_at, request.event_at)


@metric("e2e", unit="ns", needs=("intended_ns", "chunks"), better="lower")
def end_to_end(request: Request) -> int | None:
    """Time from the intended send to the last byte of generated text. What follows (usage, ``[DONE]``) is not waited for."""
    return _since(request.intended_at, request.text_at[-1]) if len(request.text_at) else None


@metric("e2e_sent", unit="ns", needs=("sent_ns", "chunks"), better="lower")
def end_to_end_from_send(request: Request) -> int | None:
    """Time from the actual send to the last byte of generated text."""
    return _since(request.sent_at, request.text_at[-1]) if len(request.text_at) else None


@metric("tpot", unit="ns", needs=("ttft", "e2e", "output_tokens"), better="lower")
def time_per_output_token(request: Request) -> int | None:
    """Time per output token after the first: (E2E - TTFT) / (output tokens - 1), rounded to whole ns.

    Tokens are the server's usage, so that several tokens in one chunk are several tokens. None below two tokens.
    """
    tokens = request.answer.output_tokens
    if tokens is None or tokens < 2 or not len(request.text_at):
        return None
    return (int(request.text_at[-1] - request.text_at[0]) * 2 + tokens - 1) // (2 * (tokens - 1))


@metric("connect", unit="ns", needs=("connect_ns", "connected_ns"))
def time_to_connect(request: Request) -> int | None:
    """Time to make the connection (TLS included); None on a pooled connection in use again."""
    return None if request.connected_at is None else _since(request.connect_at, request.connected_at)


@metric("send_lag", unit="ns", needs=("intended_ns", "connect_ns", "connected_ns", "sent_ns"))
def send_lag(request: Request) -> int | None:
    """How much later than intended the client sent the request, the time to connect left out.

    It is the client's own lateness: waiting for the server to take a connection is the server's.
    """
    if request.sent_at is None:
        return None
    return request.sent_at - request.intended_at - (time_to_connect(request) or 0)


@metric("client_lag", unit="ns", needs=("received_ns", "kernel_ns"))
def client_lag(request: Request) -> int | None:
    """How long bytes lay in the kernel before the client read them: at the first or the last generated text, the larger.

    It is the error that TTFT or E2E would carry if the client's own clock were used. Where the kernel gives a time to
    every arrival of a request, its latencies use the kernel's and are free of this lag; where it does not (TLS), they use
    the client's and the lag is unknown (None).
    """
    return request.lag


def _since(start: int | None, end: int) -> int | None:
    return None if start is None else int(end) - start
