from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving_study.engines.base import Question, Server, ServerSpec
from serving_study.serving.life import life
from serving_study.serving.ready import wait_until_ready
from serving_study.study.errors import StudyError
from tests.serving import servers

QUESTION = Question("/v1/completions", {"model": "m", "prompt": "Hello"}, "openai-completions")


class Front(BaseHTTPRequestHandler):
    """Answers as a proxy does whose server behind it still loads: 503, an error with 200, then the completion."""

    answers: tuple[tuple[int, bytes], ...] = ()
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.answers[min(type(self).asked, len(self.answers) - 1)]
        type(self).asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def front():
    """Start a front that gives these answers one after the other, the last for ever."""
    started = []

    def start(*answers: tuple[int, bytes], patience_s: float = 30) -> tuple[Server, type[Front]]:
        handler = type("Handler", (Front,), {"answers": answers})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        url = f"http://127.0.0.1:{server.server_port}"
        return Server(
            ServerSpec("s", ("m",), server.server_port, (), start_timeout_s=patience_s, url=url), url, None, None
        ), handler

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_only_a_whole_completion_is_ready(front):
    server, handler = front(
        (503, b'{"error": "loading model"}'),
        (200, b'{"error": {"message": "model m not found"}}'),
        (200, b'data: {"error": "still no"}\n\n'),
        (200, b'data: {"choices": [{"text": " there"}]}\n\n'),
    )
    wait_until_ready(server, QUESTION)
    assert handler.asked == 4


def test_a_server_that_only_ever_refuses_is_told_with_its_answer(front):
    server, _ = front((404, b"no such model: m"), patience_s=0.3)
    with pytest.raises(TimeoutError, match="/v1/completions answers 404: no such model: m"):
        wait_until_ready(server, QUESTION)


def test_waiting_ends_at_once_when_the_process_is_gone(tmp_path):
    spec = servers.spec("import sys; sys.exit('unknown argument: --foo')", start_timeout_s=60)
    begun = time.monotonic()
    with (
        pytest.raises(StudyError, match=r"ended with status 1 before it was ready.*it refused a setting"),
        life([spec], tmp_path, lambda server: wait_until_ready(server, QUESTION)),
    ):
        pytest.fail("it never was ready")
    assert time.monotonic() - begun < 30


def test_an_external_server_that_does_not_answer_is_told_with_its_url(tmp_path):
    url = "http://127.0.0.1:1"
    outside = ServerSpec("outside", ("m",), 1, (), url=url, start_timeout_s=0.2)
    with (
        pytest.raises(StudyError, match=rf"server outside \({url}\) was not ready after 0\.2 s: .*ConnectionError"),
        life([outside], tmp_path, lambda server: wait_until_ready(server, QUESTION)),
    ):
        pytest.fail("it never answered")
