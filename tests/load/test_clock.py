"""The kernel's UTC stamps on the monotonic clock, and what a clock that was set does to them."""

import select
import time

import numpy as np

from serving_study.load.clock import Offsets, Timer, now, pair
from serving_study.load.recording import Chunks, Part


def offsets_of(*pairs):
    offsets = Offsets()
    for monotonic, utc in pairs:
        offsets._monotonic.append(monotonic)
        offsets._utc.append(utc)
    return offsets


def test_a_slewed_clock_is_followed_between_readings():
    offsets = offsets_of((1_000, 10_001_000), (2_000, 10_002_100), (3_000, 10_003_100))
    about = np.array([1_500, 2_500])
    assert offsets.monotonic(np.array([10_001_550, 10_002_600]), about).tolist() == [1_500, 2_500]
    assert offsets.step_ns() == 100


def test_the_kernels_times_count_until_the_clock_is_set():
    chunks = Chunks()
    chunks.next_block()
    for received in (1_500, 2_500):
        chunks.owner.append(0)
        chunks.received.append(received)
        chunks.ends.append(10 * len(chunks.owner))
        chunks.stamps += np.array([5, received - 100], dtype=np.int64).tobytes()
    steady = offsets_of((1_000, 5_000_001_000), (3_000, 5_000_003_000))
    assert Part.of(chunks, steady).kernel_ns.tolist() == [1_400, 2_400]
    stepped = offsets_of((1_000, 5_000_001_000), (3_000, 6_000_003_000))
    assert Part.of(chunks, stepped).kernel_ns.tolist() == [0, 0]


def test_one_instant_is_read_on_both_clocks():
    before = time.time_ns() - now()
    monotonic, utc = pair()
    assert abs((utc - monotonic) - before) < 50_000_000
    assert abs(now() - monotonic) < 10_000_000_000


def test_the_timer_fires_at_its_instant_and_not_before():
    timer, poll = Timer(), select.epoll()
    poll.register(timer.fd, select.EPOLLIN)
    for ahead in (2_000_000, 300_000, -5):
        at = now() + ahead
        timer.at(at)
        assert poll.poll(5) and now() >= at
        timer.clear()
    timer.clear()
    timer.close()
    poll.close()
