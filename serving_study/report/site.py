"""The static site of published studies: an index in each report language, and a folder for each study."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving_study.report.catalogs import SOURCE_LANGUAGE, catalog, languages
from serving_study.report.crate import METADATA
from serving_study.report.fonts import as_data
from serving_study.study.types import Study

TEMPLATES = Path(__file__).parent / "templates"
ENTRY = "study.json"
"""What the index says of a study, kept beside its report, so that studies can be added one by one."""


def add_to_site(study: Study, packed: Path, site: Path) -> Path:
    """Unfold the published study ``packed`` into ``site`` and write the index again; returns the index in English."""
    folder = site / study.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(packed) as archive:
        inside = f"reports/{study.name}/"
        for name in sorted(n for n in archive.namelist() if n.startswith(inside)):
            target = folder / name.removeprefix(inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
        measured = _run(json.loads(archive.read(METADATA)))["endTime"][:10]
    shutil.copyfile(packed, folder / packed.name)
    entry = {"name": study.name, "question": study.question, "measured": measured, "zip": packed.name}
    (folder / ENTRY).write_text(
        json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (site / ".nojekyll").touch()
    entries = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(site.glob(f"*/{ENTRY}"))]
    for language in languages():
        (site / index_of(language)).write_text(_index(entries, language), encoding="utf-8")
    return site / index_of(SOURCE_LANGUAGE)


def index_of(language: str) -> str:
    """File name of the index in a language."""
    return "index.html" if language == SOURCE_LANGUAGE else f"index.{language}.html"


def _run(crate: dict[str, Any]) -> dict[str, Any]:
    run: dict[str, Any] = next(entity for entity in crate["@graph"] if entity["@id"] == "#run")
    return run


def _index(entries: list[dict[str, Any]], language: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = {each: catalog(each).locale.get_display_name(each) for each in languages()}
    page = environment.get_template("site.html").render(
        font=as_data(),
        _=catalog(language).say,
        language=language,
        names=names,
        index_of=index_of,
        studies=[{**entry, "question": _question(entry["question"], language)} for entry in entries],
    )
    return page + "\n"


def _question(questions: dict[str, str], language: str) -> str:
    return questions.get(language) or questions.get(SOURCE_LANGUAGE) or next(iter(questions.values()), "")
