"""A run that is interrupted leaves no process, no wrong cell and no lost one; the next run goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout


def wait_for(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def cells(checkout: Checkout) -> dict[Path, float]:
    return {f: f.stat().st_mtime for f in checkout.folder.glob("results/tiny/cells/*/*/r01/cell.json")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["INT", "TERM", "KILL"])
def test_a_killed_run_is_cleaned_up_and_goes_on(study: Checkout, number: signal.Signals):
    # what is made of cells goes too: Snakemake does not ask for a cell that nothing needs
    made = [study.folder / "reports/tiny", study.folder / "results/tiny/tables", study.folder / "results/tiny/figures"]
    for folder in [*study.folder.glob("results/tiny/cells/*/ko/r01"), *made]:
        shutil.rmtree(folder)
    for file in ("facts.json", "receipt.json"):
        (study.folder / "results/tiny" / file).unlink()
    done = cells(study)
    run = study.start("report")
    try:
        # a cell is being measured: its server is up
        assert wait_for(lambda: list(study.folder.glob("results/tiny/cells/*/ko/r01/servers/*.log")), 120)
        os.kill(run.pid, number)
        assert run.wait(10) != 0, "it waited for the cell in work"
        assert wait_for(lambda: not study.processes(), 5), [p.cmdline() for p in study.processes()]
    finally:
        for process in study.processes():
            process.kill()
    finished = cells(study)
    assert set(done) <= set(finished), "a finished cell was lost"
    assert all(finished[f] == time_of for f, time_of in done.items()), "a finished cell was written again"
    for file in finished:
        json.loads(file.read_text())
    again = study.snakemake("report")
    assert again.returncode == 0, (again.stdout + again.stderr)[-4000:]
    assert all(cells(study)[f] == time_of for f, time_of in done.items()), "a finished cell was measured again"
