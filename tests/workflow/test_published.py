"""A published study carries everything that proves it: unpacked elsewhere, it derives, renders and compares itself."""

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout


@pytest.fixture(scope="module")
def published(measured: Checkout, tmp_path_factory) -> Checkout:
    """A checkout whose study was published by the workflow."""
    checkout = measured.copy(tmp_path_factory.mktemp("published"))
    done = checkout.snakemake("publish")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return checkout


@pytest.fixture
def unpacked(published: Checkout, tmp_path: Path) -> Checkout:
    """The zip alone, somewhere else."""
    with zipfile.ZipFile(published.folder / "publish" / "tiny.zip") as archive:
        archive.extractall(tmp_path / "elsewhere")
    return Checkout(tmp_path / "elsewhere")


def test_what_is_unpacked_verifies_itself(unpacked):
    done = unpacked.snakemake("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_digit_changed_in_what_is_unpacked_is_named(unpacked):
    report = unpacked.read("reports/tiny/report.ko.md")
    place = next(at for at in range(2000, len(report)) if report[at].isdigit())
    unpacked.write(
        "reports/tiny/report.ko.md", report[:place] + str((int(report[place]) + 1) % 10) + report[place + 1 :]
    )
    done = unpacked.python("verify", "tiny")
    assert done.returncode == 1
    assert "reports/tiny/report.ko.md" in done.stdout


def test_the_command_that_its_readme_names_is_there(unpacked):
    assert "make verify" in unpacked.read("README.md")
    makefile = unpacked.read("Makefile")
    assert "\nverify: .venv/run\n" in makefile
    assert (unpacked.folder / "requirements.lock").exists()


def test_publishing_again_has_nothing_to_do_and_would_give_the_same_bytes(published, tmp_path):
    before = (published.folder / "publish" / "tiny.zip").read_bytes()
    assert published.due("publish") == set()
    again = published.copy(tmp_path / "again")
    shutil.rmtree(again.folder / "publish")
    assert again.python("publish", "tiny").returncode == 0
    assert (again.folder / "publish" / "tiny.zip").read_bytes() == before


def test_the_site_has_the_study_and_its_zip(published):
    site = published.folder / "publish" / "site"
    for page in ("index.html", "index.ko.html", "tiny/report.html", "tiny/report.ko.md", "tiny/tiny.zip"):
        assert (site / page).is_file(), page
