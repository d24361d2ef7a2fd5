"""Send one point's schedule and record what comes back."""

from __future__ import annotations

from collections.abc import Sequence

from serving_study.load.recorder import Progress, Recorder
from serving_study.load.recording import Recording
from serving_study.load.schedule import Planned
from serving_study.load.transport import resolve, secured
from serving_study.load.workers import run_workers


def run_point(
    planned: Sequence[Planned],
    *,
    concurrency: int | None,
    progress: Progress | None = None,
    workers: int = 1,
    key: str | None = None,
) -> Recording:
    """Send the schedule and wait until each request has ended or met its deadline.

    Closed loop (``concurrency``): each user takes its requests in order, each when the one before has ended. Open loop
    (None): each request leaves at its offset. Several workers are processes of their own. Raises ``Interrupted``, with what
    was received, on a keyboard interrupt.
    """
    if any((each.offset_ns is None) != (concurrency is not None) for each in planned):
        raise ValueError("a closed loop has a concurrency and no offsets, an open loop offsets and no concurrency")
    addresses = resolve(planned)
    servers = secured(addresses)
    if workers > 1:
        return run_workers(planned, workers, addresses, progress, key)
    recording = Recording.of(planned)
    Recorder(recording, range(len(planned)), servers, key, progress).run()
    return recording
