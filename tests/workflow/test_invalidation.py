"""Only what is invalid runs again: real dry runs over a really measured study."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from tests.workflow.checkout import Checkout

OUT = {"aggregate", "facts", "plot", "render"}
EN = {"benchmark one-slot/en/01", "benchmark other/en/01", "derive one-slot/en/01", "derive other/en/01"}
KO = {job.replace("/en/", "/ko/") for job in EN}
DERIVE = {job for job in EN | KO if job.startswith("derive")}


def of(deployment: str) -> set[str]:
    """The jobs of one deployment."""
    cells = {job for job in EN | KO if f" {deployment}/" in job}
    return cells | {f"{rule} {deployment}" for rule in ("deploy", "warmup", "profile_memory")} | OUT


def test_a_finished_study_has_nothing_to_do(study: Checkout):
    assert study.due() == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("config/prompts/ko.jsonl", "하늘", "바다", KO | OUT),
        ("config/studies/tiny.yaml", "slots: 1", "slots: 3", of("one-slot")),
        ("config/studies/tiny.yaml", "max_tokens: 4", "max_tokens: 5",
         EN | KO | OUT | {"profile_memory one-slot", "profile_memory other"}),
        ("config/studies/tiny.yaml", "Does it work?", "Does it?", OUT - {"plot"} | OUT),
        ("serving_study/metrics/registry.py", "from __future__", "EDITED = 1\nfrom __future__", DERIVE | OUT),
        ("serving_study/analysis/facts.py", "from __future__", "EDITED = 1\nfrom __future__", OUT),
        ("serving_study/load/recorder.py", "STAGGER_NS = 200_000", "STAGGER_NS = 200_001",
         EN | KO | OUT | {f"{r} {d}" for r in ("warmup", "profile_memory") for d in ("one-slot", "other")}),
        ("serving_study/telemetry/host.py", "from __future__", "EDITED = 1\nfrom __future__", of("one-slot") | of("other")),
    ],
    ids=["korean-prompt", "setting", "workload", "question", "metric", "analysis", "recorder", "telemetry"],
)  # fmt: skip
def test_an_edit_runs_what_it_invalidates(study: Checkout, file: str, old: str, new: str, expected: set[str]):
    study.edit(file, old, new)
    assert study.due() == expected


def test_an_engines_file_runs_that_engines_cells(study: Checkout):
    study.edit("serving_study/engines/other.py", "start_timeout_s=180", "start_timeout_s=181")
    due = study.due()
    assert {job for job in due if not job.startswith("install_engine")} == of("other")
    assert all("llamacpp" not in job for job in due)


def test_a_template_renders_and_nothing_else(study: Checkout):
    template = next((study.folder / "serving_study/report/templates").rglob("*.md"))
    template.write_text(template.read_text() + "\n")
    assert study.due() == {"render"}


def test_comments_and_docstrings_run_nothing(study: Checkout):
    for file in (study.folder / "serving_study").rglob("*.py"):
        text = file.read_text()
        file.write_text(
            text.replace('"""', '"""Said anew: ', 1) + "\n\n# a remark\n" if text.startswith('"""') else text
        )
    assert study.due() == set()


def test_one_replicate_more_runs_the_new_cells(study: Checkout):
    study.edit("config/studies/tiny.yaml", "replicates: 1", "replicates: 2")
    assert study.due() == {job.replace("/01", "/02") for job in EN | KO} | OUT


def test_touching_everything_runs_nothing(study: Checkout):
    for file in study.folder.rglob("*"):
        if ".snakemake" not in file.parts and file.is_file():
            os.utime(file)
    assert study.due() == set()


def test_a_restored_file_runs_nothing(study: Checkout):
    before = study.read("config/prompts/ko.jsonl")
    study.edit("config/prompts/ko.jsonl", "하늘", "바다")
    study.write("config/prompts/ko.jsonl", before)
    assert study.due() == set()


def test_a_deleted_page_is_rendered_again_and_nothing_else(study: Checkout):
    (study.folder / "reports/tiny/trace.json").unlink()
    assert study.due() == {"render"}


def test_a_second_run_says_that_there_is_nothing_to_do(study: Checkout):
    done = study.snakemake("report")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_a_run_with_nothing_to_do_takes_no_longer_than_asking(study: Checkout):
    def seconds(*arguments: str) -> float:
        begun = time.monotonic()
        assert study.snakemake(*arguments).returncode == 0
        return time.monotonic() - begun

    pairs = [(seconds("report"), seconds("-n")) for _ in range(3)]
    assert min(run / dry for run, dry in pairs) <= 1.5


def test_recorded_runs_render_in_a_fresh_clone_and_measure_nothing(study: Checkout, fresh: Checkout):
    assert study.python("record", "tiny").returncode == 0
    shutil.copytree(study.folder / "recorded", fresh.folder / "recorded")
    fresh.edit("config/studies/tiny.yaml", "replicates: 1", "recorded: recorded/tiny\nreplicates: 1")
    assert fresh.due() == DERIVE | OUT
    assert any(job.startswith("benchmark") for job in fresh.due("--config", "measure=true"))
    done = fresh.snakemake("report")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda c: (c.folder / "recorded/tiny/cells/other/ko/r01/chunks.parquet").unlink(), "chunks.parquet missing"),
        (lambda c: c.edit("config/studies/tiny.yaml", "max_tokens: 4", "max_tokens: 5"), "recorded under another plan"),
        (lambda c: c.edit("config/prompts/ko.jsonl", "하늘", "바다"), "differs from the prompts that"),
    ],
    ids=["missing", "plan", "prompts"],
)
def test_recorded_runs_that_do_not_fit_are_refused(study: Checkout, damage, reason: str):
    assert study.python("record", "tiny").returncode == 0
    study.edit("config/studies/tiny.yaml", "replicates: 1", "recorded: recorded/tiny\nreplicates: 1")
    damage(study)
    done = study.snakemake("-n")
    assert done.returncode != 0
    assert reason in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_schema_in_git_is_the_one_of_the_types(study: Checkout):
    before = study.read("workflow/schemas/study.schema.json")
    assert study.python("schema").returncode == 0
    assert study.read("workflow/schemas/study.schema.json") == before


def test_the_environment_has_the_pins_of_the_lock(study: Checkout):
    before = study.read("environment.yml")
    assert study.python("environment").returncode == 0
    assert study.read("environment.yml") == before
    pins = {
        line.split(" ")[0]
        for line in study.read("requirements.lock").splitlines()
        if "==" in line and line[0].isalnum()
    }
    listed = {line.strip(' -"').split(" ")[0] for line in before.splitlines() if "==" in line}
    assert pins == listed


def test_snakemake_lints_clean(study: Checkout):
    done = subprocess.run(
        study.command("--lint"), cwd=study.folder, env=study.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
