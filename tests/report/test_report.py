"""The rendered report: the same facts in each language, every digit traced, study text kept harmless."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from serving_study.report.document import TEMPLATES, slug
from serving_study.report.facts import Fact, Facts, read_facts
from serving_study.study.errors import StudyError
from tests.report.conftest import render

FILES = ("report.md", "report.en.md", "report.ko.md", "report.html")


def lines(reports: Path, file: str) -> list[str]:
    return (reports / file).read_text("utf-8").split("\n")


def shown_in(reports: Path, file: str) -> list[tuple[int, int, str]]:
    """(line, column, fact) of a file, in reading order."""
    trace = json.loads((reports / "trace.json").read_text("utf-8"))["facts"]
    places = [(p["line"], p["column"], name) for name, f in trace.items() for p in f["shown"] if p["file"] == file]
    return sorted(places)


def test_english_and_korean_carry_the_same_facts_section_by_section(reports: Path) -> None:
    def by_section(file: str) -> list[list[str]]:
        heads = [number for number, line in enumerate(lines(reports, file), 1) if line.startswith("## ")]
        return [
            sorted(fact for line, _, fact in shown_in(reports, file) if start <= line < end)
            for start, end in zip([0, *heads], [*heads, 10**9], strict=True)
        ]

    english, korean = by_section("report.en.md"), by_section("report.ko.md")
    question = {"question/en/text", "question/ko/text"}
    assert len(english) == len(korean)
    for one, other in zip(english, korean, strict=True):
        assert [f for f in one if f not in question] == [f for f in other if f not in question]


def test_english_and_korean_tables_carry_the_same_facts_in_the_same_order(reports: Path) -> None:
    def in_tables(file: str) -> list[str]:
        text = lines(reports, file)
        return [fact for line, _, fact in shown_in(reports, file) if text[line - 1].startswith("|")]

    assert in_tables("report.en.md") == in_tables("report.ko.md")


@pytest.mark.parametrize("file", FILES)
def test_every_position_of_the_trace_is_where_its_text_stands(reports: Path, file: str) -> None:
    text = lines(reports, file)
    trace = json.loads((reports / "trace.json").read_text("utf-8"))["facts"]
    places = [place for fact in trace.values() for place in fact["shown"] if place["file"] == file]
    assert places
    for place in places:
        assert text[place["line"] - 1][place["column"] - 1 :].startswith(place["text"])


@pytest.mark.parametrize("file", FILES[:3])
def test_every_digit_of_a_page_lies_inside_a_position_of_the_trace(reports: Path, file: str) -> None:
    trace = json.loads((reports / "trace.json").read_text("utf-8"))["facts"]
    covered = {
        (place["line"], place["column"] + offset)
        for fact in trace.values()
        for place in fact["shown"]
        if place["file"] == file
        for offset in range(len(place["text"]))
    }
    for number, line in enumerate(lines(reports, file), 1):
        for column, character in enumerate(line, 1):
            assert not character.isdigit() or (number, column) in covered, (number, line)


def test_no_table_is_wider_than_eight_columns(reports: Path) -> None:
    for file in FILES[:3]:
        widths = [line.count(" | ") + 1 for line in lines(reports, file) if line.startswith("| ")]
        assert max(widths) <= 8


def test_the_contents_lead_to_headings_that_are_there(reports: Path) -> None:
    for file in FILES[:3]:
        text = (reports / file).read_text("utf-8")
        anchors = {slug(heading) for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
        links = re.findall(r"^- \[.+\]\(#(.+)\)$", text, re.MULTILINE)
        assert len(links) == len(anchors) and set(links) == anchors


def test_the_same_facts_give_the_same_bytes(study: Path, figures: Path, reports: Path, tmp_path: Path) -> None:
    assert render(study / "facts.json", tmp_path, figures) == 0
    for path in sorted(path for path in reports.rglob("*") if path.is_file()):
        path = path.relative_to(reports)
        assert (reports / path).read_bytes() == (tmp_path / path).read_bytes(), path


def test_a_digit_typed_into_a_template_fails_the_build(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    from serving_study.report import document

    changed = tmp_path / "templates"
    shutil.copytree(TEMPLATES, changed)
    with (changed / "sections" / "limits.md").open("a", encoding="utf-8") as file:
        file.write("\nAbout 428 token/s.\n")
    monkeypatch.setattr(document, "TEMPLATES", changed)
    with pytest.raises(StudyError, match="comes from no fact"):
        document.write_pages(read_facts(study / "facts.json"), document.Shown(), None)


def hostile(study: Path, tmp_path: Path, text: str) -> Path:
    """facts.json of the study with a text in place of its question and its machine."""
    content = json.loads((study / "facts.json").read_text("utf-8"))
    for fact in content["facts"]:
        if fact["id"].startswith("question/") or fact["id"].endswith("/processor"):
            fact["value"] = text
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1)) ![b](http://evil.example/c.png)",
        "x | y | z\n## Heading\n- item",
        "`code` **bold** _it_ ~~no~~ $x$ @someone #12 https://evil.example www.evil.example",
        "{{ 7 * 7 }} {% raw %} %CONTENTS% {study}",
        "\U000f00009\ue000 \u202etxt",
    ],
)
def test_study_text_is_shown_and_never_understood(study: Path, tmp_path: Path, text: str) -> None:
    assert render(hostile(study, tmp_path, text), tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.en.md").read_text("utf-8")
    html = (tmp_path / "out" / "report.html").read_text("utf-8")
    bodies = html.split("<main>")[1].split("</main>")[0]
    assert "<script" not in page and "<img" not in page
    assert "<script" not in bodies and "onerror=" not in re.sub(r"&lt;.*?&gt;", "", bodies)
    assert not re.search(r'(href|src)="(javascript:|https?:)', bodies)
    assert page.count("\n## ") == (page.count("\n- [")), "a heading of the study's text became one of the page"


def test_an_unknown_fact_and_a_broken_file_are_told_plainly(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    for content in ("{", "[]", '{"study": "s"}', '{"study": "s", "facts": [{"kind": "count"}]}'):
        path.write_text(content)
        with pytest.raises(StudyError, match="run `facts` again"):
            read_facts(path)
    with pytest.raises(StudyError, match="no such fact"):
        Facts("s", [])["count/lives"]
    with pytest.raises(StudyError, match="no fact is about it"):
        Facts("s", [Fact(id="a", kind="label")]).label("model", "m")


def test_the_report_carries_a_compose_file_of_loopback_servers_and_a_request_to_each_model(reports: Path):
    page = (reports / "report.ko.md").read_text()
    (written,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    services = yaml.safe_load(written)["services"]
    for name, service in services.items():
        assert re.search(rf"curl --no-buffer http://127\.0\.0\.1:\d+/\S+ .*{name}", page)
        assert service["command"][service["command"].index("--host") + 1] == "127.0.0.1"
        assert re.search(r":\S+$", service["image"])
