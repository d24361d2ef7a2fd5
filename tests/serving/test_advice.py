from __future__ import annotations

import pytest

from serving_study.engines.base import Server, ServerSpec
from serving_study.serving import advice


@pytest.fixture
def failed(tmp_path):
    """A server that left these lines in its log."""

    def server(*lines: str) -> Server:
        log = tmp_path / "server.log"
        log.write_text("\n".join(lines))
        return Server(ServerSpec("one", ("m",), 8001, ("program",)), "http://127.0.0.1:8001", 42, log)

    return server


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 184496947200", "more memory than there is"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "more memory than there is"),
        ("ERROR: [Errno 98] error while attempting to bind: address already in use", "another process took its port"),
        ("api_server.py: error: unrecognized arguments: --max-num-seq 4", "it refused a setting"),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "does not fit this build"),
        ("ModuleNotFoundError: No module named 'torch'", "its environment is damaged"),
        ("something that nobody foresaw", "read the whole log"),
    ],
)  # fmt: skip
def test_the_cause_is_found_in_the_log_even_before_a_long_trace(failed, line, remedy):
    trace = [f'  File "module_{n}.py", line {n}' for n in range(40)]
    assert remedy in advice.died("one", failed("loading", line, *trace), 1, "before it was ready")


def test_a_kill_that_nobody_explains_points_to_the_kernels_want_of_memory(failed):
    told = advice.died("one", failed("serving"), 128 + 9, "while it was in use")
    assert "server one (process 42) was killed by SIGKILL while it was in use" in told
    assert "want of memory" in told


def test_only_the_last_lines_are_shown_and_bytes_that_are_no_text_do_no_harm(failed):
    server = failed(*(f"line {n}" for n in range(1000)))
    assert server.log is not None
    with server.log.open("ab") as log:
        log.write(b"\n\xff\xfe broken\n")
    told = advice.died("one", server, 1, "before it was ready")
    assert "| line 999" in told
    assert "| line 900" not in told
    assert "broken" in told


def test_a_server_that_said_nothing_is_told_so(failed):
    assert "(nothing)" in advice.died("one", failed(), 1, "before it was ready")
