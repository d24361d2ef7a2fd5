"""The digest of a stage changes with what its source means, and only then."""

import shutil
from pathlib import Path

import pytest

from serving_study.study import code

SOURCE = '''"""Doc."""

LIMIT = 4
"""Said of LIMIT."""


def double(x: int) -> int:
    """Twice."""
    return 2 * x  # a comment
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "load").mkdir()
    (tmp_path / "load/a.py").write_text(SOURCE)
    return tmp_path


def digest(package: Path, stage: str) -> str:
    code.digest.cache_clear()
    return code.digest(stage, package=package)


@pytest.mark.parametrize(
    ("old", "new"),
    [("Doc.", "Other."), ("Said of", "Told of"), ("Twice.", "Double it."), ("  # a comment", ""), ("\n\n\n", "\n\n")],
)
def test_words_change_nothing(package: Path, old: str, new: str):
    before = digest(package, "load")
    (package / "load/a.py").write_text(SOURCE.replace(old, new))
    assert digest(package, "load") == before


@pytest.mark.parametrize(("old", "new"), [("LIMIT = 4", "LIMIT = 5"), ("2 * x", "x * 2"), ("double", "twice")])
def test_meaning_changes_it(package: Path, old: str, new: str):
    before = digest(package, "load")
    (package / "load/a.py").write_text(SOURCE.replace(old, new))
    assert digest(package, "load") != before


def test_a_new_file_changes_its_stage_and_no_other(package: Path):
    shutil.copytree(package / "load", package / "metrics")
    before = digest(package, "load"), digest(package, "metrics")
    (package / "load/b.py").write_text("B = 1")
    assert digest(package, "load") != before[0]
    assert digest(package, "metrics") == before[1]


def test_a_stage_that_does_not_exist_is_an_error(package: Path):
    with pytest.raises(FileNotFoundError):
        digest(package, "engines/none")
