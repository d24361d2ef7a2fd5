"""A GGUF as a Hugging Face folder for vLLM and SGLang, made once and kept by hash.

The weights are dequantised to bfloat16: the same values up to bfloat16's rounding, in another type, which the study
says (``weights: BF16``) and the report sets in its ledger.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import structlog

from serving_study.serving import cache, environment
from serving_study.study.errors import StudyError

LOCK = Path(__file__).parents[2] / "workflow" / "envs" / "gguf-to-folder.lock"
SCRIPT = Path(__file__).parent / "gguf_to_folder.py"
log = structlog.get_logger()


def to_folder(name: str, gguf: Path, sha256: str) -> tuple[Path, str]:
    """The folder of ``gguf``, whose bytes have ``sha256``, and the digest of its sorted ``sha256  name`` lines."""
    key = cache.key(sha256, LOCK.read_text(encoding="utf-8"), SCRIPT.read_text(encoding="utf-8"))
    place = cache.root() / "models" / f"{name}-folder-{key}"

    def fill(folder: Path) -> dict[str, Any]:
        log.info("converting", model=name, of=str(gguf), to="a Hugging Face folder of bfloat16 weights")
        _run(name, gguf, folder / "model")
        files = sorted(f for f in (folder / "model").iterdir())
        digest = cache.lines_sha256(f"{cache.sha256(f)}  {f.name}" for f in files)
        return {"model": name, "of": sha256, "sha256": digest, "bytes": cache.size(folder)}

    cache.entry(place, fill, lambda folder: (folder / "model" / "config.json").is_file(), keep=False)
    return place / "model", str((cache.receipt(place) or {})["sha256"])


def _run(name: str, gguf: Path, folder: Path) -> None:
    folder.mkdir()
    home = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HOME": str(folder.parent)}
    done = subprocess.run(
        [_converter() / "bin" / "python", "-I", SCRIPT, gguf, folder],
        env=home,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in done.stderr.splitlines()[-8:])
        raise StudyError(f"models.{name}: {gguf.name} could not be converted. Next: see what it said.\n{last}")


def _converter() -> Path:
    """The environment that converts, from its own lock."""
    key = cache.key(LOCK.read_text(encoding="utf-8"), platform.python_version())
    log.info("installing", what=LOCK.stem)

    def fill(folder: Path) -> dict[str, Any]:
        environment.create(folder, LOCK)
        return {"lock": LOCK.name, "bytes": cache.size(folder)}

    return cache.entry(cache.root() / "engines" / f"{LOCK.stem}-{key}", fill, lambda _: True, keep=False)
