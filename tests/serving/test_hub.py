from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving_study.serving.models import prepare
from serving_study.study.errors import StudyError
from serving_study.study.types import HuggingFaceSource, Model

REVISION = "0123456789abcdef0123456789abcdef01234567"
BIG = bytes(range(256)) * 20_000
SMALL = b'{"architectures": ["LlamaForCausalLM"]}'


class Mirror(ThreadingHTTPServer):
    """A hub on loopback: lists a repository, redirects large files to another host name as the real one does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {"config.json": SMALL, "model.safetensors": BIG, "sub/tokenizer.json": b"[]"}
        self.served = dict(self.files)
        self.token: str | None = None
        self.cut_at: int | None = None
        self.seen: list[tuple[str, str, str | None, str | None]] = []
        """Host name, path, range and authorization of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        host = self.headers["Host"].split(":")[0]
        wanted = self.headers.get("Range")
        self.server.seen.append((host, self.path, wanted, self.headers.get("Authorization")))
        if (
            self.server.token
            and host == "127.0.0.1"
            and self.headers.get("Authorization") != f"Bearer {self.server.token}"
        ):
            self.answer(401, b"")
        elif self.path.startswith("/api/models/owner/model/tree/"):
            self.answer(200, json.dumps([self.entry(*file) for file in self.server.files.items()]).encode())
        elif match := re.fullmatch(rf"/owner/model/resolve/{REVISION}/(.+)", self.path):
            if match[1].endswith(".safetensors") and host == "127.0.0.1":
                self.answer(302, b"", Location=f"http://localhost:{self.server.server_port}{self.path}")
            else:
                self.file(self.server.served[match[1]], wanted)
        else:
            self.answer(404, b"")

    def entry(self, name: str, data: bytes) -> dict[str, object]:
        said: dict[str, object] = {"type": "file", "path": name, "size": len(data)}
        said["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        if name.endswith(".safetensors"):
            said["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return said

    def file(self, data: bytes, wanted: str | None) -> None:
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        rest = data[first:]
        cut, self.server.cut_at = self.server.cut_at, None
        if cut is not None and len(rest) > cut:
            self.send_response(200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[:cut])
            self.close_connection = True
            return
        self.answer(206 if wanted else 200, rest)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Iterator[Mirror]:
    with Mirror() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("SERVING_STUDY_CACHE", str(tmp_path / "cache"))
        yield server
        server.shutdown()


def model(*files: str, sha256: str | None = None) -> Model:
    source = HuggingFaceSource(repository="owner/model", revision=REVISION, files=files)
    return Model(source=source, sha256=sha256, license="MIT", parameters=1, weights="BF16", api="chat")


def test_a_repository_becomes_a_folder_of_checked_files(mirror):
    folder = prepare("m", model(), ("folder",)).folder
    assert folder is not None
    assert {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()} == mirror.files


def test_only_the_files_that_the_study_names_are_fetched(mirror):
    folder = prepare("m", model("config.json"), ("folder",)).folder
    assert folder is not None
    assert [f.name for f in folder.iterdir()] == ["config.json"]


def test_one_gguf_of_a_repository_is_a_gguf(mirror):
    mirror.files["model-q4.gguf"] = mirror.served["model-q4.gguf"] = BIG
    prepared = prepare("m", model("model-q4.gguf", sha256=hashlib.sha256(BIG).hexdigest()), ("gguf",))
    assert prepared.gguf is not None
    assert prepared.gguf.read_bytes() == BIG


def test_what_was_fetched_is_not_fetched_again(mirror):
    first = prepare("m", model(), ("folder",))
    mirror.seen.clear()
    assert prepare("m", model(), ("folder",)) == first
    assert mirror.seen == []


def test_a_file_that_was_cut_short_goes_on_where_it_stopped(mirror):
    mirror.cut_at = 1_000_000
    with pytest.raises(StudyError, match=r"stopped in the middle .*Next: run it again: it goes on where it stopped"):
        prepare("m", model("model.safetensors"), ("folder",))
    mirror.seen.clear()
    folder = prepare("m", model("model.safetensors"), ("folder",)).folder
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == BIG
    (resumed,) = {wanted for _, path, wanted, _ in mirror.seen if "resolve" in path}
    assert 900_000 < int(resumed.removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_a_file_that_the_mirror_changed_is_refused_and_not_kept(mirror):
    mirror.served["model.safetensors"] = BIG[:-1] + b"!"
    with pytest.raises(StudyError, match=r"model\.safetensors: got \w+, the hub says \w+: damaged .*Next: "):
        prepare("m", model(), ("folder",))
    mirror.served["model.safetensors"] = BIG
    assert prepare("m", model(), ("folder",)).folder is not None


def test_the_token_goes_to_the_hub_and_not_to_the_host_that_it_redirects_to(mirror, monkeypatch):
    mirror.token = "hf_secret"
    with pytest.raises(StudyError, match=r"owner/model: the hub refuses it \(401\)\. Next: .*HF_TOKEN"):
        prepare("m", model(), ("folder",))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder = prepare("m", model(), ("folder",)).folder
    assert folder is not None
    assert {token for host, _, _, token in mirror.seen if host == "localhost"} == {None}
    assert not [f for f in folder.parent.rglob("*") if f.is_file() and b"hf_secret" in f.read_bytes()]


def test_a_file_that_the_revision_does_not_have_is_told_with_those_it_has(mirror):
    with pytest.raises(
        StudyError, match=r"source\.files: .* has no model\.gguf; it has config\.json, model\.safetensors"
    ):
        prepare("m", model("model.gguf"), ("folder",))


def test_a_hub_that_lists_a_file_outside_of_the_repository_is_refused(mirror):
    mirror.files["../outside"] = b""
    with pytest.raises(StudyError, match="outside of the repository"):
        prepare("m", model(), ("folder",))


def test_a_hub_that_is_not_there_is_told(mirror, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StudyError, match=r"owner/model: http://127\.0\.0\.1:1/\S+ does not answer \(ConnectionError\)"):
        prepare("m", model(), ("folder",))
