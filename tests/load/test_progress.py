"""The line of a cell tells what this run has measured and what it has left, or that it does not know."""

import json

import pytest

from serving_study.load.progress import announce, position

MINUTE = 60_000_000_000
LONG_AGO, LATER = 1, 1 << 62


@pytest.fixture(autouse=True)
def cells(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVING_STUDY_CELLS", "")
    monkeypatch.delenv("SERVING_STUDY_CELLS")
    return tmp_path


def measured(cells, number, utc_ns):
    file = cells / "d" / "en" / f"r{number}" / "cell.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"clock_start": {"monotonic_ns": 0}, "clock_end": {"monotonic_ns": 2 * MINUTE, "utc_ns": utc_ns}})
    )
    return file


def test_a_fresh_run_has_all_cells(cells):
    announce(18, cells)
    assert position(cells, 2 * MINUTE) == (1, 18, 34.0)
    measured(cells, 1, LATER)
    assert position(cells, 2 * MINUTE) == (2, 18, 32.0)


def test_a_run_that_goes_on_has_what_was_missing(cells):
    for number in range(5):
        measured(cells, number, LONG_AGO)
    announce(18, cells)
    measured(cells, 5, LATER)
    assert position(cells, 2 * MINUTE) == (2, 13, 22.0)


def test_a_run_that_measures_anew_does_not_say_that_it_is_done(cells):
    files = [measured(cells, number, LONG_AGO) for number in range(18)]
    announce(18, cells)
    files[0].unlink()  # as Snakemake does before a job
    assert position(cells, 2 * MINUTE) == (1, None, None)


def test_what_the_run_said_first_stays(cells):
    announce(3, cells)
    measured(cells, 1, LATER)
    announce(3, cells)  # a job that reads the workflow again
    assert position(cells, 2 * MINUTE) == (2, 3, 2.0)


def test_by_hand_the_number_of_cells_is_not_known(cells):
    assert position(cells, MINUTE) == (1, None, None)
