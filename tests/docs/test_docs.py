"""What the documents say is there, is there: links, files, commands, options and targets."""

import argparse
import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
import yaml

from serving_study.__main__ import names
from serving_study.report.readme import quoted

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"python -m serving_study ([^`\n|>]*)")
PLACE = re.compile(r"`((?:config|docs|serving_study|workflow|tests|profiles|recorded|reports)/[\w./-]*)`")


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchors(document: Path) -> set[str]:
    text = FENCE.sub("", document.read_text())
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def code(text: str) -> list[str]:
    """Commands of code blocks, with their continued lines, and inline code."""
    text = re.sub(r"\\\n\s*", " ", text)
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()[1:-1]]
    return blocks + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


@documents
def test_every_link_leads_somewhere(document):
    for target in LINK.findall(FENCE.sub("", document.read_text())):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), f"{target}: no such file"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}: no such heading"


@documents
def test_every_place_named_is_there(document):
    made = (ROOT / ".gitignore").read_text().splitlines()
    for place in PLACE.findall(FENCE.sub("", document.read_text())):
        made_here = f"/{place}" in made or re.search(r"[A-Z]{2,}", place)
        assert made_here or (ROOT / place).exists(), place


@documents
def test_every_command_named_exists_with_its_options(document):
    for line in code(document.read_text()):
        for words in COMMAND.findall(line):
            name, *rest = shlex.split(words, comments=True) or ["--help"]
            if name.isupper() or name == "--help":
                continue
            assert name in names(), f"python -m serving_study {name}"
            parser = argparse.ArgumentParser()
            import_module(f"serving_study.commands.{name.replace('-', '_')}").add_arguments(parser)
            parser.add_argument("--log")
            for option in (word for word in rest if word.startswith("--")):
                assert option.split("=")[0] in parser._option_string_actions, f"{name} {option}"


@documents
def test_every_make_target_and_rule_named_exists(document):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    sources = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    rules = {name for file in sources for name in re.findall(r"^\s*rule (\w+):", file.read_text(), re.MULTILINE)}
    for line in code(document.read_text()):
        for target in re.findall(r"\bmake ([a-z][\w-]*)", line):
            assert target in targets, f"make {target}"
        if re.search(r"\bsnakemake\b", line):
            for target in re.findall(r"snakemake (?:-\S+ (?:\d+ )?)*([a-z]\w*)", line):
                assert target in rules, f"snakemake {target}"


def test_the_citation_is_valid_and_names_nobody_who_is_not_there():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    # the schema is the Citation File Format project's own (CC BY 4.0), version 1.2.0, unchanged
    schema = json.loads((Path(__file__).parent / "citation-1.2.0.schema.json").read_text())
    jsonschema.validate(citation, schema, format_checker=jsonschema.FormatChecker())
    assert citation["authors"] == [{"name": "llm-serving-study contributors"}]


def test_the_license_is_the_one_that_the_package_and_the_citation_name():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == "Apache-2.0"
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_numbers_of_the_readme_are_those_of_the_recorded_report(readme):
    assert quoted(ROOT / readme) == (ROOT / readme).read_text(), "run: python -m serving_study readme"


def test_the_korean_readme_quotes_the_same_parts_as_the_english_one():
    kinds = [re.findall(r"<!-- quoted: \S+( \w+)? -->", (ROOT / f).read_text()) for f in ("README.md", "README.ko.md")]
    assert kinds[0] == kinds[1] != []


def test_the_index_of_the_documentation_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))
