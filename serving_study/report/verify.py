"""Whether reports and tables are what the raw files give: found and named, never repaired."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pyarrow.parquet as pq

from serving_study.study.cells import cells
from serving_study.study.errors import StudyError
from serving_study.study.recorded import LEFT_OUT, cell_folder, measured_files
from serving_study.study.types import Study

STAMP = ".snakemake_timestamp"
"""What Snakemake leaves in a folder that is a job's output: it says nothing, and is in neither git nor a package."""
SOURCES = ("Snakefile", "workflow", "config", "profiles", "serving_study")


def differences(study: Study, raw: Path) -> Iterator[str]:
    """One line for each file that is not what it should be; nothing when all is well.

    ``raw`` is where the measured files stand. They are checked against the hashes that were taken when they were
    measured; then everything is derived and rendered from them in a scratch folder and compared byte for byte.
    """
    missing = [f for f in measured_files(study, raw) if not f.exists()]
    if missing:
        raise StudyError(
            f"{missing[0]}: is missing, nothing can be verified without it; measure or fetch the raw files"
        )
    damaged = list({line.partition(":")[0]: line for line in _damaged(study, raw)}.values())
    yield from damaged
    with tempfile.TemporaryDirectory(prefix="serving-study-verify-") as folder:
        scratch = Path(folder)
        _render_again(study, raw, scratch, damaged)
        for tree in (f"results/{study.name}", f"reports/{study.name}"):
            yield from _compare(Path(tree), scratch / tree)


def _damaged(study: Study, raw: Path) -> Iterator[str]:
    """Raw files whose bytes are not those that were measured."""
    for cell in cells(study):
        folder = cell_folder(raw, cell)
        for name, was in json.loads((folder / "cell.json").read_text())["files"].items():
            if _sha256(folder / name) != was:
                yield f"{folder / name}: changed since it was measured (its SHA-256 is not the one in cell.json)"
    yield from _unlike_the_trace(study)
    sums = raw / "SHA256SUMS"
    for line in sums.read_text().splitlines() if sums.exists() else ():
        was, name = line.split("  ", 1)
        if _sha256(raw / name) != was:
            yield f"{raw / name}: changed since it was recorded (its SHA-256 is not the one in {sums})"


def _unlike_the_trace(study: Study) -> Iterator[str]:
    """Measured files that are not those which the report was rendered from: the trace beside it holds their hashes."""
    trace = Path("reports") / study.name / "trace.json"
    try:
        runs = json.loads(trace.read_text())["runs"].values() if trace.exists() else ()
    except (ValueError, KeyError):
        return  # a trace that is no JSON any more is found when it is compared
    hashes = {Path(run["folder"]) / name: was for run in runs for name, was in run["files"].items()}
    for file, was in hashes.items():
        if file.exists() and _sha256(file) != was:
            yield f"{file}: changed since the report was rendered (its SHA-256 is not the one in {trace})"


def _render_again(study: Study, raw: Path, scratch: Path, damaged: list[str]) -> None:
    """The same workflow without its measuring rules, in a folder that has nothing but source and raw files."""
    for name in SOURCES:
        (scratch / name).symlink_to(Path(name).resolve())
    for file in (*measured_files(study, raw), *raw.glob(LEFT_OUT)):
        (scratch / file).parent.mkdir(parents=True, exist_ok=True)
        (scratch / file).symlink_to(file.resolve())
    command = [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count()), "report"]
    done = subprocess.run(
        [
            *command,
            "--config",
            f"study={study.name}",
            "measure=never",
            f"recorded={bool(study.recorded)}",
            "--quiet",
            "all",
        ],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        named = "\n".join(damaged) or "no raw file's hash differs"
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise StudyError(f"{raw}: cannot be derived and rendered again:\n{tail}\n{named}")


def _compare(here: Path, again: Path) -> Iterator[str]:
    """Files of both trees: what differs, and what should not be there or is not there."""
    made = _files(again)
    published = again.parent.name == "reports"
    for name in sorted(made):
        file = here / name
        if file.exists():
            if file.read_bytes() != (again / name).read_bytes():
                yield f"{file}: {_first_difference(file, again / name)}"
        elif published:
            yield f"{file}: is missing"
    if published:
        for name in sorted(_files(here) - made):
            yield f"{here / name}: does not come from any raw file"


def _files(tree: Path) -> set[Path]:
    """The files of a tree, measured ones (links in the scratch folder) and Snakemake's stamps left out."""
    return {f.relative_to(tree) for f in tree.rglob("*") if f.is_file() and not f.is_symlink() and f.name != STAMP}


def _first_difference(here: Path, again: Path) -> str:
    """Where and what, in the words of the file's format."""
    if here.suffix == ".parquet":
        return _first_cell(here, again)
    try:
        ours, theirs = (f.read_text().splitlines() for f in (here, again))
    except UnicodeDecodeError:
        return "differs from what the raw files give"
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), 1):
        if a != b:
            return f"line {number}: {_around(a, b)!r} stands where the raw files give {_around(b, a)!r}"
    return f"has {len(ours)} lines where the raw files give {len(theirs)}"


def _first_cell(here: Path, again: Path) -> str:
    try:
        ours, theirs = pq.read_table(here).to_pandas(), pq.read_table(again).to_pandas()
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    if ours.shape != theirs.shape or list(ours) != list(theirs):
        return f"has {ours.shape[0]} rows and {ours.shape[1]} columns, the raw files give {theirs.shape}"
    for column in ours:
        for row, (a, b) in enumerate(zip(ours[column], theirs[column], strict=True)):
            if a != b and not (a != a and b != b):
                return f"row {row}, column {column}: {a!r} stands where the raw files give {b!r}"
    return "holds the same rows in other bytes than the raw files give"


def _around(text: str, other: str) -> str:
    """The part of a long line that differs, with a little on either side."""
    match = SequenceMatcher(None, text[:2000], other[:2000], autojunk=False).find_longest_match()
    start = match.size if match.a == 0 and match.b == 0 else 0
    return text[max(0, start - 30) : start + 40]


def _sha256(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
