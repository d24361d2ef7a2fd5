"""What a real run did, in which order."""

from __future__ import annotations

import json

from serving_study import engines
from serving_study.study.cells import cells
from serving_study.study.file import read
from tests.workflow.checkout import Checkout


def test_all_deployments_stand_before_the_first_cell_and_cells_run_block_by_block(measured: Checkout):
    root = measured.folder / "results/tiny"
    found = {f: json.loads(f.read_text()) for f in root.glob("cells/*/*/*/cell.json")}
    started = sorted((cell["clock_start"]["utc_ns"], cell["deployment"], cell["language"]) for cell in found.values())
    before = [*root.glob("engines/*.json"), *root.glob("models/*.json"), *root.glob("deployments/*/warmup.json")]
    assert len(before) == 5
    assert max(f.stat().st_mtime_ns for f in before) < started[0][0]
    study = read(measured.folder / "config/studies/tiny.yaml", {**engines.checks(), "other": lambda deployment: ()})
    assert [(d, language) for _, d, language in started] == [(c.deployment, c.language) for c in cells(study)]
