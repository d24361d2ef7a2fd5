"""A plain client, as many benchmarks are built: aiohttp, line by line, JSON parsed as it comes.

``python benchmarks/peers/plain_aiohttp.py URL STREAMS REQUESTS MAX_TOKENS FILE`` writes one JSON object: TTFT and
inter-chunk gap in ms, and streamed tokens per second of its CPU time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
from pathlib import Path

import aiohttp


async def ask(session: aiohttp.ClientSession, url: str, number: int, max_tokens: int) -> tuple[list[float], int]:
    """One request: the time of each piece of text in s from its send, and how many there were."""
    body = {
        "model": "steady",
        "stream": True,
        "max_tokens": max_tokens,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": f"q-{number}"}],
    }
    began, times = time.perf_counter(), []
    async with session.post(url + "/v1/chat/completions", json=body) as answer:
        async for line in answer.content:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            event = json.loads(line[6:])
            if event["choices"] and event["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter() - began)
    return times, len(times)


async def main(url: str, streams: int, requests: int, max_tokens: int) -> dict[str, float]:
    """``streams`` users take ``requests`` together."""
    left = iter(range(requests))
    answers: list[tuple[list[float], int]] = []

    async def user(session: aiohttp.ClientSession) -> None:
        answers.extend([await ask(session, url, number, max_tokens) for number in left])

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        cpu = time.process_time()
        await asyncio.gather(*(user(session) for _ in range(streams)))
        cpu = time.process_time() - cpu
    first = [1000 * times[0] for times, _ in answers]
    gaps = [1000 * (b - a) for times, _ in answers for a, b in itertools.pairwise(times)]
    return {
        "ttft_p50": statistics.median(first),
        "ttft_p99": statistics.quantiles(first, n=100)[98],
        "inter_chunk_p99": statistics.quantiles(gaps, n=100)[98],
        "tokens_per_cpu_s": sum(n for _, n in answers) / cpu,
    }


if __name__ == "__main__":
    Path(sys.argv[5]).write_text(json.dumps(asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5])))))
