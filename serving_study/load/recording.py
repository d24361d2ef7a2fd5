"""What a point left behind, in arrays that hold a million chunks in little more than their bytes."""

from __future__ import annotations

import contextlib
import mmap
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from serving_study.load.clock import Offsets
from serving_study.load.schedule import Planned

NEVER = -1
BLOCK = 16 << 20
TELLING = 8
"""Characters from which a key is no accident in a server's answer."""
STEP_NS = 1_000_000
"""A clock that changes by more between two readings was set: the kernel's stamps of that run mean nothing."""
ROOM = 256 << 10
"""Room that one read finds at least; a socket that holds more is read again."""


class Chunks:
    """Bytes as they arrived, one row a read. Data lies in blocks, end to end, and is never copied while measuring."""

    def __init__(self) -> None:
        self.owner = array("i")
        """Position of the request in the schedule."""
        self.received = array("q")
        self.stamps = bytearray()
        """The kernel's ``struct timespec`` of each row, 16 bytes; zeros where it has none."""
        self.ends = array("i")
        """End of each row inside its block; it begins where the row before it ended."""
        self.first: list[int] = []
        """First row of each block."""
        self.blocks: list[mmap.mmap] = []

    def next_block(self) -> memoryview:
        """A fresh block, in pages that the kernel gives one at a time: a huge one may take it 10 ms to find."""
        block = mmap.mmap(-1, BLOCK)
        with contextlib.suppress(OSError):
            block.madvise(mmap.MADV_NOHUGEPAGE)
        self.first.append(len(self.owner))
        self.blocks.append(block)
        return memoryview(block)


def blot_out(blocks: list[mmap.mmap], secret: bytes) -> None:
    """Overwrite a key that a server sent back, so that no file ever holds it.

    A key shorter than ``TELLING`` (people write ``EMPTY`` or ``1`` where a server wants any) may stand in an answer by
    accident: it is overwritten only as the server was told it, after ``Bearer``.
    """
    before = b"" if len(secret) >= TELLING else b"Bearer "
    for block in blocks:
        at = block.find(before + secret)
        while at >= 0:
            begin = at + len(before)
            block[begin : begin + len(secret)] = b"*" * len(secret)
            at = block.find(before + secret, begin + len(secret))


@dataclass(slots=True)
class Part:
    """The chunks that one worker recorded, with the kernel's stamps already on the monotonic clock."""

    owner: npt.NDArray[np.int32]
    received_ns: npt.NDArray[np.int64]
    kernel_ns: npt.NDArray[np.int64]
    """0 where the kernel has none."""
    block: npt.NDArray[np.int32]
    begin: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    blocks: list[mmap.mmap]

    @classmethod
    def of(cls, chunks: Chunks, offsets: Offsets) -> Part:
        """The arrays of a run that has ended, not copied; a row that a signal left half written is cut off."""
        rows = min(len(chunks.owner), len(chunks.received), len(chunks.stamps) // 16, len(chunks.ends))
        ends = np.frombuffer(chunks.ends, dtype=np.int32)[:rows]
        begins = np.zeros_like(ends)
        begins[1:] = ends[:-1]
        begins[[row for row in chunks.first if row < rows]] = 0
        received = np.frombuffer(chunks.received, dtype=np.int64)[:rows]
        seconds = np.frombuffer(chunks.stamps, dtype=np.int64)[: 2 * rows].reshape(-1, 2)
        utc = seconds[:, 0] * 1_000_000_000 + seconds[:, 1]
        known = (utc > 0) & (offsets.step_ns() < STEP_NS)
        return cls(
            owner=np.frombuffer(chunks.owner, dtype=np.int32)[:rows],
            received_ns=received,
            kernel_ns=np.where(known, offsets.monotonic(utc, received), 0),
            block=(np.searchsorted(chunks.first, np.arange(rows), side="right") - 1).astype(np.int32),
            begin=begins,
            end=ends,
            blocks=chunks.blocks,
        )


@dataclass(slots=True)
class Recording:
    """One point as it ran: a row for each request of the schedule, and the chunks."""

    planned: Sequence[Planned]
    intended: array[int]
    connect: array[int]
    connected: array[int]
    sent: array[int]
    ended: array[int]
    outcome: list[str]
    connection: list[str]
    worker: array[int]
    parts: list[Part] = field(default_factory=list)
    client_cpu_s: float = 0.0
    """CPU time of the client while it measured, of all workers together."""
    started_ns: int = 0
    """First intended send."""

    @classmethod
    def of(cls, planned: Sequence[Planned], worker: int = 0) -> Recording:
        """Nothing has happened yet."""
        n = len(planned)
        return cls(
            planned=planned,
            intended=array("q", [NEVER]) * n,
            connect=array("q", [NEVER]) * n,
            connected=array("q", [NEVER]) * n,
            sent=array("q", [NEVER]) * n,
            ended=array("q", [NEVER]) * n,
            outcome=["interrupted"] * n,
            connection=[each.connection for each in planned],
            worker=array("h", [worker]) * n,
        )

    @property
    def ended_ns(self) -> int:
        """When the last request of the schedule was done."""
        return max(self.ended, default=NEVER)

    @property
    def rows(self) -> int:
        """Chunks recorded."""
        return sum(len(part.owner) for part in self.parts)

    def outcomes(self) -> dict[str, int]:
        """Outcome to number of requests."""
        return {name: self.outcome.count(name) for name in sorted(set(self.outcome))}


class Interrupted(KeyboardInterrupt):
    """The run was stopped by a signal; ``recording`` keeps what was received until then."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("interrupted while measuring")
        self.recording = recording
