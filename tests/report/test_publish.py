"""A published study is a valid RO-Crate of equal bytes, and holds what it takes to check it."""

import hashlib
import json
import re
import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest
import requests_cache
from rocrate.rocrate import ROCrate
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

from serving_study import engines
from serving_study.__main__ import main
from serving_study.report.crate import METADATA, PROFILES
from serving_study.report.publish import SOURCE, publish
from serving_study.report.site import add_to_site
from serving_study.study.cells import cells
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.recorded import cell_folder, measured_files
from serving_study.study.types import HuggingFaceSource, OllamaSource, PathSource

ROOT = Path(__file__).parents[2]
STUDY = read(ROOT / "config" / "studies" / "quickstart.yaml", engines.checks(), ROOT)
RAW = Path("results") / STUDY.name
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
BEGAN_NS = 1_790_000_000 * 10**9


def cell_json(number):
    host = {"name": "a1", "system": "Linux", "processor": "Some CPU", "cores": 2, "memory_bytes": 1, "accelerators": []}
    clock = {"monotonic_ns": 0, "utc_ns": BEGAN_NS + number * 10**9}
    return {"life": f"life-{number}", "commit": "c0ffee", "host": host, "clock_start": clock, "clock_end": clock}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A checkout in which the study has been measured and reported."""
    for name in SOURCE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for file in measured_files(STUDY, RAW):
        write(file, f"measured {file}")
    for number, cell in enumerate(cells(STUDY)):
        write(cell_folder(RAW, cell) / "cell.json", json.dumps(cell_json(number)))
    for name in ("report.md", "report.en.md", "report.ko.md", "report.html", "trace.json", "figures/latency.en.svg"):
        write(Path("reports") / STUDY.name / name, f"report {name}")
    for name in ("facts.json", "tables/estimates.csv", "tables/estimates.parquet"):
        write(RAW / name, f"derived {name}")
    return tmp_path


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture
def issues(tmp_path):
    """What the validator finds; it reads the JSON-LD context of RO-Crate 1.1 (CC0) from beside this file, not from the net."""
    body = (Path(__file__).parent / "ro-crate-1.1.context.jsonld").read_bytes()
    kind = {"Content-Type": "application/ld+json"}
    asked = requests_cache.CachedRequest(method="GET", url=CONTEXT)
    fetched = requests_cache.CachedResponse(content=body, status_code=200, url=CONTEXT, headers=kind, request=asked)
    cache = tmp_path / "http"
    with requests_cache.CachedSession(str(cache), backend="sqlite") as session:
        session.cache.save_response(fetched)
    return partial(_issues, cache)


def _issues(cache, folder, profile):
    settings = ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier=profile,
        requirement_severity=Severity.REQUIRED,
        offline=True,
        cache_path=cache,
    )
    return [f"{i.check.identifier}: {i.message}" for i in services.validate(settings).get_issues()]


@pytest.mark.parametrize("profile", ["ro-crate-1.1", "workflow-run-crate-0.5"])
def test_the_community_validator_accepts_it(measured, tmp_path, issues, profile):
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    assert issues(folder, profile) == []


def test_the_validator_does_refuse_a_crate_whose_workflow_has_no_language(measured, tmp_path, issues):
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    content = json.loads((folder / METADATA).read_text())
    for entity in content["@graph"]:
        entity.pop("programmingLanguage", None)
    write(folder / METADATA, json.dumps(content))
    assert any("programmingLanguage" in issue for issue in issues(folder, "workflow-run-crate-0.5"))


def test_the_crate_reads_back_with_every_file_hashed_and_the_run_dated(measured, tmp_path):
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    crate = ROCrate(folder)
    files = {entity.id: entity for entity in crate.get_entities() if "File" in entity.type}
    there = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()} - {METADATA}
    assert set(files) == there
    assert all(hashlib.sha256((folder / n).read_bytes()).hexdigest() == f["sha256"] for n, f in files.items())
    assert crate.mainEntity.id == "Snakefile"
    run = crate.get("#run")
    assert (run["startTime"], run["endTime"]) == ("2026-09-21T14:13:20+00:00", "2026-09-21T14:13:37+00:00")
    assert {profile.id for profile in crate.root_dataset["conformsTo"]} == set(PROFILES)


def test_equal_content_gives_equal_bytes(measured):
    first = publish(STUDY, RAW, Path("first")).read_bytes()
    for file in measured.rglob("*.json"):
        file.touch()
    assert publish(STUDY, RAW, Path("second")).read_bytes() == first


def test_it_holds_source_locks_license_reports_tables_and_raw_files(measured, tmp_path):
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    for file in (*measured_files(STUDY, RAW), Path("requirements.lock"), Path("LICENSE"), Path("Snakefile")):
        assert (folder / file).read_bytes() == file.read_bytes()
    assert (folder / "reports" / STUDY.name / "report.ko.md").exists()
    assert (folder / RAW / "tables" / "estimates.parquet").exists()
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_without_raw_tables_their_hashes_stay(measured, tmp_path, issues):
    archive = publish(STUDY, RAW, Path("publish"), without_raw=True)
    folder = unpacked(archive, tmp_path / "unpacked")
    left_out = [file for file in measured_files(STUDY, RAW) if file.suffix == ".parquet"]
    sums = (folder / "SHA256SUMS").read_text()
    for file in left_out:
        assert not (folder / file).exists()
        assert f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file}\n" in sums
    assert issues(folder, "workflow-run-crate-0.5") == []


def test_the_commands_in_it_mean_the_published_study(measured, tmp_path):
    write(Path("config/config.yaml"), "# which one\nstudy: other\nmeasure: false\n")
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    assert (folder / "config/config.yaml").read_text() == f"# which one\nstudy: {STUDY.name}\nmeasure: false\n"


def test_it_names_the_commit_again_where_it_is_unpacked(measured, tmp_path):
    write(Path("VERSION"), "c0ffee\n")
    folder = unpacked(publish(STUDY, RAW, Path("publish")), tmp_path / "unpacked")
    assert (folder / "VERSION").read_text() == "c0ffee\n"
    assert ROCrate(folder).mainEntity["version"] == "c0ffee"


@pytest.mark.parametrize("missing", [f"reports/{STUDY.name}/trace.json", f"{RAW}/facts.json"])
def test_a_study_without_its_report_is_not_published(measured, missing):
    Path(missing).unlink()
    with pytest.raises(StudyError, match=r"snakemake --cores 1 report"):
        publish(STUDY, RAW, Path("publish"))


def test_a_study_that_misses_a_raw_file_is_not_published(measured):
    gone = next(measured_files(STUDY, RAW))
    gone.unlink()
    with pytest.raises(StudyError, match=f"{gone}: is missing"):
        publish(STUDY, RAW, Path("publish"))


def test_the_site_lists_every_study_in_every_language_and_all_its_links_lead_somewhere(measured):
    packed = publish(STUDY, RAW, Path("publish"))
    site = Path("publish/site")
    index = add_to_site(STUDY, packed, site)
    other = STUDY.model_copy(update={"name": "other", "question": {"en": "Is <b> & bold?", "ko": "다른 질문인가?"}})
    shutil.copytree(f"reports/{STUDY.name}", "reports/other")
    shutil.copytree(RAW, "results/other")
    shutil.copy(f"config/studies/{STUDY.name}.yaml", "config/studies/other.yaml")
    add_to_site(other, publish(other, Path("results/other"), Path("publish")), site)
    assert index == site / "index.html"
    for file, question in (("index.html", "Is &lt;b&gt; &amp; bold?"), ("index.ko.html", "다른 질문인가?")):
        page = (site / file).read_text()
        assert question in page
        links = re.findall(r'href="([^"#]+)', page)
        assert all((site / link).exists() for link in links), links
        for name in (STUDY.name, "other"):
            assert {f"{name}/report.html", f"{name}/{name}.zip", f"{name}/report.ko.md"} <= set(links)


def test_a_study_published_again_leaves_nothing_old_on_the_site(measured):
    site = Path("publish/site")
    add_to_site(STUDY, publish(STUDY, RAW, Path("publish")), site)
    (Path("reports") / STUDY.name / "figures/latency.en.svg").unlink()
    add_to_site(STUDY, publish(STUDY, RAW, Path("publish")), site)
    assert not (site / STUDY.name / "figures/latency.en.svg").exists()
    assert (site / STUDY.name / "report.html").exists()


def test_a_study_whose_deployments_depend_on_the_machine_is_recorded_before_it_is_published(measured, capsys):
    path = Path("config/studies") / f"{STUDY.name}.yaml"
    path.write_text(path.read_text() + "\nskip_unavailable: true\n")
    assert main(["publish", STUDY.name]) == 2
    assert f"python -m serving_study record {STUDY.name}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            HuggingFaceSource(repository="someone/model", revision="a" * 40),
            "someone/model on Hugging Face at revision aaaa",
        ),
        (OllamaSource(ollama="model:1b"), "model:1b in Ollama's library"),
        (PathSource(path="/home/me/secret-name.gguf"), "a file of the measuring machine"),
    ],
)
def test_the_crate_says_where_models_come_from_and_names_no_path_of_the_machine(measured, tmp_path, source, says):
    model = STUDY.models["smollm2-135m"].model_copy(update={"source": source, "sha256": None})
    study = STUDY.model_copy(update={"models": {**STUDY.models, "smollm2-135m": model}})
    folder = unpacked(publish(study, RAW, Path("publish")), tmp_path / "unpacked")
    entity = ROCrate(folder).get("#model-smollm2-135m")
    assert says in entity["description"]
    assert entity["license"] == "Apache-2.0"
    assert "secret-name" not in (folder / METADATA).read_text()
