"""Messages of templates and code, gathered for the translators: ``python -m serving_study.report.extract`` updates catalogs.

New messages are added without a translation, messages that nothing says any more are dropped, the others stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from serving_study.report.catalogs import FOLDER, SOURCE_LANGUAGE, languages, messages_of

ROOT = Path(__file__).parent
_METHODS = [
    ("**/extract.py", "ignore"),
    ("**.py", "python"),
    ("templates/**.md", "jinja2"),
    ("templates/**.html", "jinja2"),
]
_KEYWORDS = {"_": None, "N_": None, "say": None}


def messages() -> dict[str, list[str]]:
    """Every message that the report may say, with the files that say it."""
    found: dict[str, list[str]] = {}
    for file, message in _extracted():
        found.setdefault(message, [])
        if file not in found[message]:
            found[message].append(file)
    return found


def _extracted() -> Iterator[tuple[str, str]]:
    options = {"**.py": {}, "templates/**.md": {"trimmed": "true"}}
    for file, _line, message, _comments, _context in extract_from_dir(ROOT, _METHODS, options, keywords=_KEYWORDS):
        if isinstance(message, str) and message:
            yield file, message


def update(language: str) -> None:
    """Bring the catalog of a language up to date."""
    known = {str(m.id): str(m.string) for m in messages_of(language) if m.id}
    catalog = Catalog(locale=language, project="llm-serving-study", fuzzy=False)
    for message, files in messages().items():
        catalog.add(message, known.get(message, ""), locations=[(file, 0) for file in files])
    with (FOLDER / f"{language}.po").open("wb") as out:
        write_po(out, catalog, width=120, omit_header=True, sort_output=False)


if __name__ == "__main__":
    for each in languages():
        if each != SOURCE_LANGUAGE:
            update(each)
