"""Files of a Hugging Face repository at a pinned revision, over plain HTTP.

Works with any hub that speaks the same: ``HF_ENDPOINT`` names it (default https://huggingface.co), ``HF_TOKEN`` opens
what is gated; the token goes to that host only and is written nowhere. A file that was cut short goes on where it
stopped. Each file is checked: large ones against the sha256 that the hub gives, others against their git digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import requests
import structlog

from serving_study.serving import cache
from serving_study.study.errors import StudyError
from serving_study.study.types import HuggingFaceSource

log = structlog.get_logger()

_SECONDS = (10, 60)
"""To connect, and between two pieces of an answer."""
PIECE = 1 << 16
"""Bytes: a broken connection loses no more than the piece that it broke."""


def download(source: HuggingFaceSource, folder: Path) -> Path:
    """The repository's files (or those that the source names) in ``folder``; the one file itself if it is one GGUF."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    with requests.Session() as session:
        token = os.environ.get("HF_TOKEN")
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        listed = _listing(session, endpoint, source)
        for number, (name, entry) in enumerate(sorted(listed.items()), 1):
            log.info("fetching", file=name, number=number, of=len(listed), megabytes=round(entry["size"] / 1e6, 1))
            url = f"{endpoint}/{source.repository}/resolve/{source.revision}/{quote(name)}"
            _fetch(session, url, folder / "files" / name, entry, source)
    only = next(iter(listed))
    return folder / "files" / only if len(listed) == 1 and only.endswith(".gguf") else folder / "files"


def _listing(session: requests.Session, endpoint: str, source: HuggingFaceSource) -> dict[str, dict[str, Any]]:
    """Path to size and digest of the files that are wanted."""
    url = f"{endpoint}/api/models/{source.repository}/tree/{source.revision}?recursive=true"
    entries: list[dict[str, Any]] = []
    while url:
        answer = _get(session, url, source)
        entries += answer.json()
        following = answer.links.get("next", {}).get("url", "")
        url = following if following.startswith(f"{endpoint}/") else ""
    files = {e["path"]: e for e in entries if e["type"] == "file"}
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StudyError(f"{source.repository}: the hub lists a file outside of the repository: {name}")
    missing = sorted(set(source.files) - set(files))
    if missing or not files:
        raise StudyError(
            f"source.files: {source.repository} at {source.revision} has no {', '.join(missing) or 'files'}; "
            f"it has {', '.join(sorted(files)) or 'nothing'}. Next: name files of this revision"
        )
    return {name: files[name] for name in source.files or files}


def _fetch(session: requests.Session, url: str, target: Path, entry: dict[str, Any], source: HuggingFaceSource) -> None:
    """One file into ``target``, from where ``target.partial`` ends."""
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    have = partial.stat().st_size if partial.exists() else 0
    if have < entry["size"]:
        wanted = {"Range": f"bytes={have}-"} if have else {}
        with (
            _get(session, url, source, {**wanted, "Accept-Encoding": "identity"}) as answer,
            partial.open("ab") as file,
        ):
            if answer.status_code != 206:
                file.truncate(0)
            for piece in _pieces(answer, source):
                file.write(piece)
    got = _digest(partial, entry)
    if got != _wanted(entry):
        partial.unlink()
        raise StudyError(
            f"{url}: got {got}, the hub says {_wanted(entry)}: damaged on the way or changed on the mirror. "
            "Next: run it again; if it stays, use another HF_ENDPOINT"
        )
    partial.replace(target)


def _pieces(answer: requests.Response, source: HuggingFaceSource) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(PIECE)
    except requests.RequestException as problem:
        raise StudyError(
            f"{source.repository}: the hub stopped in the middle of {answer.url} ({type(problem).__name__}). "
            "Next: run it again: it goes on where it stopped"
        ) from problem


def _wanted(entry: dict[str, Any]) -> str:
    return str(entry["lfs"]["oid"] if entry.get("lfs") else entry["oid"])


def _digest(path: Path, entry: dict[str, Any]) -> str:
    """As the hub counts: sha256 of large files, git's blob digest of the others."""
    if entry.get("lfs"):
        return cache.sha256(path)
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _get(
    session: requests.Session, url: str, source: HuggingFaceSource, headers: dict[str, str] | None = None
) -> requests.Response:
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=_SECONDS)
    except requests.RequestException as problem:
        raise StudyError(
            f"{source.repository}: {url} does not answer ({type(problem).__name__}). "
            "Next: check the network or name a mirror in HF_ENDPOINT, and run it again: what is there is kept"
        ) from problem
    if answer.status_code in (401, 403):
        raise StudyError(
            f"{source.repository}: the hub refuses it ({answer.status_code}). Next: accept its license there and set "
            "HF_TOKEN, or name a model that is open"
        )
    if answer.status_code >= 400:
        raise StudyError(
            f"{source.repository}: {url} answers {answer.status_code}. Next: check repository and revision"
        )
    return answer
