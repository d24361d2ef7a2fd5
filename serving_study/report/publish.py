"""One zip of a study: reports, tables, raw files, source, locks and licenses, described as an RO-Crate.

Equal content gives equal bytes (with the same zlib): members are sorted, bear one date, and nothing of this machine is added.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from serving_study.report.crate import METADATA, Member, describe
from serving_study.study.errors import StudyError
from serving_study.study.recorded import LEFT_OUT, measured_files
from serving_study.study.types import Study

SOURCE = (
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "Snakefile",
    "config",
    "environment.yml",
    "profiles",
    "pyproject.toml",
    "requirements.lock",
    "serving_study",
    "workflow",
)
"""What it takes to derive and render again."""
CONFIG = "config/config.yaml"
READ_ME = Path(__file__).parent / "publish.md"
LARGE = (".parquet",)
"""Endings of raw files that ``without_raw`` leaves out; what says how they were measured always stays."""
DATE = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can bear: the real dates stand in the crate's metadata."""


def publish(study: Study, raw: Path, out: Path, without_raw: bool = False) -> Path:
    """Write ``out/<study>.zip`` and return its path.

    ``raw`` is where the measured files stand. ``without_raw`` leaves requests, chunks and telemetry out and keeps their hashes.
    Raises StudyError naming what is not there yet.
    """
    files = {**_source(), **_reports(study), **_tables(study)}
    measured = _members(_all_there(sorted(measured_files(study, raw))))
    files |= _members(file for file in (raw / "SHA256SUMS", raw / LEFT_OUT) if file.exists())
    files |= {name: member for name, member in measured.items() if not (without_raw and name.endswith(LARGE))}
    files[CONFIG] = Member(_configured(Path(CONFIG).read_text(encoding="utf-8"), study.name))
    files["README.md"] = Member(READ_ME)
    files["VERSION"] = Member(f"{version()}\n".encode())
    sums = {name: member.sha256 for name, member in {**measured, **files}.items()}
    files["SHA256SUMS"] = Member("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode())
    cells = [json.loads(Path(name).read_bytes()) for name in sorted(measured) if name.endswith("/cell.json")]
    files[METADATA] = Member(describe(study, files, cells, version()))
    return _zip(out / f"{study.name}.zip", files)


def version() -> str:
    """The commit of this source, marked when the source was changed since; what ``VERSION`` says where there is no git."""
    if not Path(".git").exists():
        kept = Path("VERSION")
        return kept.read_text().strip() if kept.exists() else "unknown"
    commit, changes = (
        subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()
        for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", *SOURCE))
    )
    return f"{commit or 'unknown'}{', changed since' if changes else ''}"


def _members(files: Iterable[Path]) -> dict[str, Member]:
    return {file.as_posix(): Member(file) for file in files}


def _source() -> dict[str, Member]:
    return _members(file for name in SOURCE for file in sorted(_below(Path(name))))


def _below(path: Path) -> Iterator[Path]:
    """The files of a tree without caches, hidden files and editors' leftovers."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for inner in path.iterdir():
            if not inner.name.startswith((".", "__pycache__")) and not inner.name.endswith(("~", ".pyc")):
                yield from _below(inner)


def _reports(study: Study) -> dict[str, Member]:
    folder = Path("reports") / study.name
    if not (folder / "trace.json").exists():
        raise StudyError(f"{folder}: holds no report yet; make it with: snakemake --cores 1 report")
    return _members(sorted(_below(folder)))


def _tables(study: Study) -> dict[str, Member]:
    results = Path("results") / study.name
    return _members(_all_there([results / "facts.json", *sorted(_below(results / "tables"))]))


def _all_there(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.exists():
            raise StudyError(f"{file}: is missing; run snakemake --cores 1 report, which measures and derives it")
    return files


def _configured(config: str, name: str) -> bytes:
    """``config.yaml`` with this study as the one that the commands mean."""
    text = re.sub(r"^study:.*$", f"study: {name}", config, flags=re.MULTILINE)
    assert yaml.safe_load(text)["study"] == name
    return text.encode()


def _zip(path: Path, files: dict[str, Member]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.file_size = content.size
            packed = name.endswith((".parquet", ".png", ".zip"))
            entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            with content.open() as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    partial.replace(path)
    return path
