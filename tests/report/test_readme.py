"""What the README quotes is what the report says."""

import pytest

from serving_study.__main__ import main
from serving_study.report.readme import quoted
from serving_study.study.errors import StudyError

REPORT = """# A report

## First things

Words before.

- one
- two

| a | b |
| --- | ---: |
| x | 1 |

![A figure](figures/one.en.svg)

### A part of it

More [words](report.ko.md), [elsewhere](https://example.org), [above](#first-things).

## Then

The end.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "report.en.md").write_text(REPORT)
    return tmp_path


def asking(folder, what):
    document = folder / "README.md"
    document.write_text(f"Before.\n<!-- quoted: reports/report.en.md#{what} -->\nold\n<!-- end of quote -->\nAfter.\n")
    return document


def inside(text):
    return text.split("-->\n", 1)[1].rsplit("\n<!-- end", 1)[0]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("list", "- one\n- two"),
        ("table", "| a | b |\n| --- | ---: |\n| x | 1 |"),
        ("figure", "![A figure](reports/figures/one.en.svg)"),
    ],
)
def test_one_part_of_a_section_can_be_quoted(folder, kind, text):
    assert inside(quoted(asking(folder, f"first-things {kind}"))) == text


def test_a_whole_section_is_quoted_with_its_links_made_to_work_from_here(folder):
    text = inside(quoted(asking(folder, "first-things")))
    assert text.startswith("Words before.")
    assert text.endswith("[words](reports/report.ko.md), [elsewhere](https://example.org), [above](#first-things).")


@pytest.mark.parametrize("what", ["nowhere", "then table"])
def test_what_is_not_in_the_report_cannot_be_quoted(folder, what):
    with pytest.raises(StudyError, match=r"report\.en\.md"):
        quoted(asking(folder, what))


def test_the_command_finds_a_stale_quote_and_mends_it_when_asked(folder, capsys):
    document = asking(folder, "then")
    assert main(["readme", "--check", str(document)]) == 1
    assert inside(document.read_text()) == "old"
    assert main(["readme", str(document)]) == 0
    assert (
        document.read_text()
        == "Before.\n<!-- quoted: reports/report.en.md#then -->\nThe end.\n<!-- end of quote -->\nAfter.\n"
    )
    assert main(["readme", "--check", str(document)]) == 0
    assert "brought up to date" in capsys.readouterr().out
