"""The requests of one point: which prompts, in which order, with which nonce, as bytes for the wire."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from serving_study.load.payload import http_payload
from serving_study.load.prompts import synthetic
from serving_study.load.schedule import Planned, open_loop_offsets, read_replay, user_of
from serving_study.serving.deployment import Target
from serving_study.study.errors import StudyError
from serving_study.study.prompts import Prompt, nonce
from serving_study.study.types import Workload

MADE = 1000
"""Made prompts of one point, at most; the nonce tells their repetitions apart."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Where the chance of a point comes from.

    Deployments that draw alike ask the same prompts with the same nonces in the same order, so that their points pair.
    """

    seed: int
    language: str
    replicate: int
    nonces_from: int = 0
    """Requests of the same scope that have a nonce already."""

    def random(self, purpose: str) -> random.Random:
        """A generator for one purpose."""
        return random.Random(f"{self.seed}:{self.language}:{self.replicate}:{purpose}")


def point_requests(
    workload: str, work: Workload, targets: Mapping[str, Target], prompts: Sequence[Prompt], draw: Draw, first: int = 0
) -> list[Planned]:
    """The requests of one point in the order of sending, numbered from ``first``.

    Several targets share the load: each user, or each arrival, asks the models in turn. Raises StudyError when no prompt
    is of the kinds and lengths that the workload wants.
    """
    chosen = _choose(workload, work, prompts, draw)
    offsets = _offsets(workload, work, draw)
    models = list(targets)
    users = work.concurrency or 0
    planned = []
    for i, prompt in enumerate(chosen):
        # with users, each round of all users goes on by one model, so that no user keeps one model
        model = models[(i + (i // users if users else 0)) % len(models)]
        target, url = targets[model], urlsplit(targets[model].url)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        start = (
            "" if work.measure_cache else nonce(draw.seed, draw.nonces_from + i, draw.language, draw.replicate, model)
        )
        question = target.ask(prompt.asked(start), work.max_tokens, draw.seed + i)
        planned.append(
            Planned(
                request=first + i,
                workload=workload,
                model=model,
                language=draw.language,
                prompt=prompt.id,
                nonce=start,
                server=target.server,
                host=host,
                port=port,
                tls=url.scheme == "https",
                payload=http_payload(host, port, url.path.rstrip("/") + question.path, question.body),
                dialect=question.dialect,
                max_tokens=work.max_tokens,
                deadline_ns=int(work.deadline_s * 1e9),
                connection=work.connection,
                user=user_of(i, users) if users else -1,
                offset_ns=offsets[i] if offsets else None,
            )
        )
    return planned


def _choose(workload: str, work: Workload, prompts: Sequence[Prompt], draw: Draw) -> list[Prompt]:
    """Prompts of the wanted kinds and lengths, shuffled, each used once before any is used again; or made to a length."""
    if work.input_tokens:
        return list(islice(cycle(synthetic(work.input_tokens, min(work.requests, MADE), draw.seed)), work.requests))
    fit = [p for p in prompts if (not work.kinds or p.kind in work.kinds) and p.length in work.lengths]
    if not fit:
        raise StudyError(
            f"workloads.{workload}: no prompt of kinds {list(work.kinds) or 'any'} and lengths {list(work.lengths)}; "
            "name kinds and lengths that the prompt set has"
        )
    draw.random(f"{workload}:prompts").shuffle(fit)
    return list(islice(cycle(fit), work.requests))


def _offsets(workload: str, work: Workload, draw: Draw) -> list[int]:
    """Open loop: when each request is meant to be sent, ns after the start of the point; closed loop: empty."""
    if work.rate is None:
        return []
    replay = read_replay(Path(work.replay)) if work.replay else ()
    chance = draw.random(f"{workload}:arrivals").getrandbits(32)
    return open_loop_offsets(work.rate, work.requests, work.arrivals, chance, replay)
