"""Scripted answers that clients have fallen over: each is a model of the server, by the name of its function."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.truth.frames import (
    END,
    EVENT_STREAM,
    LINES,
    MS,
    Ask,
    Frame,
    answer,
    at,
    chunk,
    delta,
    error_body,
    scenario,
    sse,
    steady,
    usage,
    usage_event,
    word,
)


def stream(frames: Iterable[Frame], *tail: bytes, head: bytes = EVENT_STREAM) -> list[Frame]:
    """Frames of events as chunks of one answer: headers before, ``tail`` events and the end after the last."""
    chunked = [replace(frame, data=chunk(frame.data)) for frame in frames]
    chunked[0] = replace(chunked[0], data=head + chunked[0].data)
    end = b"".join(chunk(event) for event in tail) + END
    return [*chunked[:-1], replace(chunked[-1], data=chunked[-1].data + end, then="done")]


def tokens(ask: Ask, n: int | None = None, end: str = "\n") -> list[Frame]:
    """One event a token."""
    n = ask.max_tokens if n is None else n
    return [
        Frame(at(ask, i), sse(delta(ask, word(i), "length" if i == n - 1 else None), end), word(i), 1) for i in range(n)
    ]


DONE = sse("[DONE]")


@scenario
def role_first(ask: Ask) -> list[Frame]:
    """A delta with the role alone, at once; text only after ``first`` (P2)."""
    role = Frame(MS, sse(delta(ask, "", delta={"role": "assistant"})))
    return stream([role, *tokens(ask)], usage_event(ask, ask.max_tokens), DONE)


@scenario
def empty_deltas(ask: Ask) -> list[Frame]:
    """Deltas with empty text, with no text and with null before the first token and between tokens (P2)."""
    empty = [sse(delta(ask, "")), sse(delta(ask, None)), sse(delta(ask, None, delta={"content": None}))]
    frames = [Frame(at(ask, 0) - (3 - i) * MS, data) for i, data in enumerate(empty)]
    for i, frame in enumerate(tokens(ask)):
        frames += [frame, Frame(at(ask, i) + ask.gap_ns // 2, empty[i % 3])]
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def bundled(ask: Ask) -> list[Frame]:
    """Four tokens in each event (P1, P10): events are no tokens."""
    groups = [range(i, min(i + 4, ask.max_tokens)) for i in range(0, ask.max_tokens, 4)]
    frames = []
    for group in groups:
        text = "".join(word(i) for i in group)
        finish = "length" if group[-1] == ask.max_tokens - 1 else None
        frames.append(Frame(at(ask, group[-1]), sse(delta(ask, text, finish)), text, len(group)))
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def merged(ask: Ask) -> list[Frame]:
    """Three events in each write: one arrival, many tokens (P1, P6)."""
    singles, frames = tokens(ask), []
    for i in range(0, len(singles), 3):
        group = singles[i : i + 3]
        text = "".join(frame.text for frame in group)
        frames.append(Frame(group[-1].at_ns, b"".join(frame.data for frame in group), text, len(group)))
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def reasoning(ask: Ask) -> list[Frame]:
    """Half of the tokens are reasoning, in ``reasoning_content`` (P3)."""
    frames = []
    for i, frame in enumerate(tokens(ask)):
        if i < ask.max_tokens // 2:
            frame = replace(frame, data=sse(delta(ask, None, delta={"reasoning_content": frame.text})))
        frames.append(frame)
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def cut_end(ask: Ask) -> Iterator[Frame]:
    """The last bytes of the answer in a write of their own, as many as tokens were asked for."""
    *frames, last = stream(tokens(ask), usage_event(ask, ask.max_tokens), DONE)
    yield from frames
    yield replace(last, data=last.data[: -ask.max_tokens], then="go")
    yield Frame(last.at_ns + 3 * MS, last.data[-ask.max_tokens :], then="done")


@scenario
def split_utf8(ask: Ask) -> Iterator[Frame]:
    """Each event in two writes, the second 3 ms after the first, cut inside a character where it has one (P14)."""
    for frame in stream(tokens(ask), usage_event(ask, ask.max_tokens), DONE):
        cut = next((i for i, byte in enumerate(frame.data) if byte & 0xC0 == 0x80), 30)
        yield Frame(frame.at_ns, frame.data[:cut])
        yield replace(frame, at_ns=frame.at_ns + 3 * MS, data=frame.data[cut:])


@scenario
def byte_by_byte(ask: Ask) -> Iterator[Frame]:
    """Every byte a write of its own; text is whole with the second line feed of its event."""
    for frame in steady(ask):
        whole = frame.data.index(b"\n\n") + 1
        for i in range(len(frame.data)):
            then = frame.then if i == len(frame.data) - 1 else "go"
            text, tokens = (frame.text, frame.tokens) if i == whole else ("", 0)
            yield Frame(frame.at_ns, frame.data[i : i + 1], text, tokens, then)


@scenario
def burst(ask: Ask) -> list[Frame]:
    """As steady, a token every millisecond."""
    return steady(replace(ask, gap_ns=MS))


_free_at = [0]


@scenario
def one_by_one(ask: Ask) -> list[Frame]:
    """One request at a time, each 20 ms: others wait their turn."""
    begins = max(_free_at[0], ask.arrival_ns)
    _free_at[0] = begins + 20 * MS
    wait = begins - ask.arrival_ns + 20 * MS - ask.first_ns - (ask.max_tokens - 1) * ask.gap_ns
    return [replace(frame, at_ns=frame.at_ns + wait) for frame in steady(ask)]


@scenario
def long_line(ask: Ask) -> list[Frame]:
    """An event of 300 kB before the first token (P5)."""
    head = Frame(MS, b": " + b"x" * 300_000 + b"\n\n")
    return stream([head, *tokens(ask)], usage_event(ask, ask.max_tokens), DONE)


@scenario
def stall(ask: Ask) -> list[Frame]:
    """Stops for 200 ms in the middle."""
    half = ask.max_tokens // 2
    frames = [replace(f, at_ns=f.at_ns + (200 * MS if i >= half else 0)) for i, f in enumerate(tokens(ask))]
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def slow_first(ask: Ask) -> list[Frame]:
    """Headers at once, the first byte of the body 150 ms later than said."""
    frames = [replace(frame, at_ns=frame.at_ns + 150 * MS) for frame in tokens(ask)]
    return [Frame(0, EVENT_STREAM), *stream(frames, usage_event(ask, ask.max_tokens), DONE, head=b"")]


@scenario
def usage_with_choices(ask: Ask) -> list[Frame]:
    """Usage in the last event that has choices (llama.cpp's completions)."""
    frames = tokens(ask)
    last = delta(ask, word(ask.max_tokens - 1), "length", usage=usage(ask.max_tokens))
    return stream([*frames[:-1], replace(frames[-1], data=sse(last))], DONE)


@scenario
def usage_everywhere(ask: Ask) -> list[Frame]:
    """Usage so far in every event; null in the first."""
    frames = []
    for i, frame in enumerate(tokens(ask)):
        body = delta(ask, word(i), "length" if i == ask.max_tokens - 1 else None)
        frames.append(replace(frame, data=sse(body | {"usage": usage(i + 1) if i else None})))
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def no_usage(ask: Ask) -> list[Frame]:
    """Never says how many tokens there were."""
    return stream(tokens(ask), DONE)


@scenario
def no_done(ask: Ask) -> list[Frame]:
    """Ends without ``[DONE]``."""
    return stream(tokens(ask), usage_event(ask, ask.max_tokens))


@scenario
def comments(ask: Ask) -> list[Frame]:
    """Comments, ``retry:``, ``event:`` and ``id:`` lines, no space after ``data:``, lines that end in CR LF."""
    frames = []
    for i, frame in enumerate(tokens(ask, end="\r\n")):
        noise = b": ping\r\n\r\nretry: 1000\r\n" + b"event: token\r\nid: %d\r\n" % i
        frames.append(replace(frame, data=noise + frame.data.replace(b"data: ", b"data:", 1)))
    return stream(frames, usage_event(ask, ask.max_tokens), DONE)


@scenario
def early_stop(ask: Ask) -> list[Frame]:
    """Stops by itself after half of the tokens."""
    half = ask.max_tokens // 2
    frames = tokens(ask, half)
    frames[-1] = replace(frames[-1], data=sse(delta(ask, word(half - 1), "stop")))
    return stream(frames, usage_event(ask, half), DONE)


@scenario
def error_midway(ask: Ask) -> list[Frame]:
    """An error event after three tokens, then an orderly end."""
    return stream([*tokens(ask)[:3], Frame(at(ask, 3), b"data: " + error_body("out of memory") + b"\n\n")], DONE)


@scenario
def reset(ask: Ask) -> list[Frame]:
    """The connection is reset after three tokens."""
    whole = stream(tokens(ask))
    return [*whole[:3], Frame(at(ask, 3), b"", then="reset")]


@scenario
def cut(ask: Ask) -> list[Frame]:
    """The connection is closed after three tokens."""
    whole = stream(tokens(ask))
    return [*whole[:3], Frame(at(ask, 3), b"", then="close")]


@scenario
def close_delimited(ask: Ask) -> list[Frame]:
    """No length and no chunks: the answer ends with its connection."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    frames = [*tokens(ask), Frame(at(ask, ask.max_tokens - 1), usage_event(ask, ask.max_tokens) + DONE, then="close")]
    return [replace(frames[0], data=head + frames[0].data), *frames[1:]]


@scenario
def trailers(ask: Ask) -> list[Frame]:
    """A trailer after the last chunk, and an interim answer before the first."""
    frames = stream(tokens(ask), usage_event(ask, ask.max_tokens), DONE)
    last = replace(frames[-1], data=frames[-1].data.removesuffix(END) + b"0\r\nServer-Timing: total;dur=1\r\n\r\n")
    return [replace(frames[0], data=b"HTTP/1.1 100 Continue\r\n\r\n" + frames[0].data), *frames[1:-1], last]


@scenario
def plain(ask: Ask) -> list[Frame]:
    """No stream although one was asked for: one JSON object."""
    text = "".join(word(i) for i in range(ask.max_tokens))
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "length"}
    body = {"object": "chat.completion", "choices": [choice], "usage": usage(ask.max_tokens)}
    return [
        replace(each, text=text)
        for each in answer("200 OK", json.dumps(body).encode(), "Content-Type: application/json")
    ]


@scenario
def endless_stream(ask: Ask) -> Iterator[Frame]:
    """Tokens without end."""
    yield Frame(0, EVENT_STREAM)
    for i in itertools.count():
        yield Frame(at(ask, i), chunk(sse(delta(ask, word(i)))), word(i), 1)


@scenario
def endless_line(ask: Ask) -> Iterator[Frame]:
    """One line without end."""
    yield Frame(0, EVENT_STREAM + chunk(b'data: {"choices":[{"delta":{"content":"'))
    for i in itertools.count():
        yield Frame(at(ask, 0) + i * MS, chunk(b"x" * 4096))


@scenario
def flood(ask: Ask) -> Iterator[Frame]:
    """As many bytes as the client takes, without end."""
    yield Frame(0, EVENT_STREAM)
    block = chunk(b": " + b"x" * 262_000 + b"\n\n") * 4
    while True:
        yield Frame(0, block)


@scenario
def html(ask: Ask) -> list[Frame]:
    """A web page."""
    return answer("200 OK", b"<!doctype html><title>Welcome</title><p>It works!", "Content-Type: text/html")


@scenario
def unauthorized(ask: Ask) -> list[Frame]:
    """401."""
    return answer("401 Unauthorized", error_body("Incorrect API key provided"), "Content-Type: application/json")


@scenario
def indiscreet(ask: Ask) -> list[Frame]:
    """Tells the client its own request, key and all."""
    return answer("401 Unauthorized", error_body(ask.head), "Content-Type: application/json")


@scenario
def too_many(ask: Ask) -> list[Frame]:
    """429."""
    return answer("429 Too Many Requests", error_body("Rate limit reached"), "Retry-After: 1")


@scenario
def not_found(ask: Ask) -> list[Frame]:
    """404, as for the name of a model that is not served."""
    return answer(
        "404 Not Found", error_body(f"The model `{ask.model}` does not exist."), "Content-Type: application/json"
    )


@scenario
def broken(ask: Ask) -> list[Frame]:
    """500, and the connection is closed."""
    frames = answer("500 Internal Server Error", error_body("boom"), "Connection: close")
    return [replace(frames[0], then="close")]


@scenario
def redirect(ask: Ask) -> list[Frame]:
    """Sends the client elsewhere."""
    return answer("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/elsewhere")


@scenario
def gzipped(ask: Ask) -> list[Frame]:
    """Compressed although that was refused."""
    body = gzip.compress(b"".join(frame.data for frame in tokens(ask)))
    return answer("200 OK", body, "Content-Type: text/event-stream", "Content-Encoding: gzip")


@scenario
def no_http(ask: Ask) -> list[Frame]:
    """Bytes that are no HTTP, then a closed connection."""
    return [Frame(MS, b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\xfe", then="close")]


@scenario
def ollama_error(ask: Ask) -> list[Frame]:
    """Ollama's error line after two lines of text."""
    lines = [json.dumps({"model": ask.model, "response": word(i), "done": False}).encode() + b"\n" for i in range(2)]
    frames = [Frame(at(ask, i), line, word(i), 1) for i, line in enumerate(lines)]
    return stream([*frames, Frame(at(ask, 2), b'{"error":"out of memory"}\n')], head=LINES)


@scenario
def switching(ask: Ask) -> list[Frame]:
    """Speaks another protocol from here on (101), then closes the connection."""
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    return [Frame(MS, head), Frame(2 * MS, b"\x81\x02hi", then="close")]


_asked = itertools.count()


@scenario
def cached(ask: Ask) -> list[Frame]:
    """Every second answer had its prompt in a prefix cache (P8)."""
    counts = usage(ask.max_tokens) | {"prompt_tokens_details": {"cached_tokens": 100 * (next(_asked) % 2)}}
    return stream(tokens(ask), sse(delta(ask, None) | {"choices": [], "usage": counts}), DONE)


@scenario
def overloaded(ask: Ask) -> list[Frame]:
    """503, with a page that would colour a terminal."""
    return answer("503 Service Unavailable", b"\x1b[31mno slot is free")
