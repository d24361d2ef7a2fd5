"""One made-up study, measured by nobody, from tables to pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serving_study.__main__ import main
from tests.analysis.made_up import facts_of, write_runs
from tests.analysis.made_up import study as study_file


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study with cells, tables and facts.json."""
    root = tmp_path_factory.mktemp("study")
    write_runs(root)
    for file in sorted(root.glob("cells/*/*/*/points.parquet")):
        _lag(file)
    for file in sorted(root.glob("deployments/*/memory.parquet")):
        _whole_machine(file)
    facts_of(root, study_file())
    for file in sorted(root.glob("cells/*/*/*/metrics.parquet")):
        _spread(file)
    return root


@pytest.fixture(scope="session")
def figures(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of that study's figures."""
    folder = tmp_path_factory.mktemp("figures")
    metrics = sorted(map(str, study.glob("cells/*/*/*/metrics.parquet")))
    command = ["plot", "--tables", str(study / "tables"), "--facts", str(study / "facts.json"), "--metrics", *metrics]
    assert main([*command, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def reports(study: Path, figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the rendered report of that study."""
    folder = tmp_path_factory.mktemp("reports")
    assert render(study / "facts.json", folder, figures) == 0
    return folder


def render(facts: Path, folder: Path, figures: Path | None = None) -> int:
    """Run the command `render`; its exit status."""
    drawn = ["--figures", str(figures)] if figures else []
    return int(main(["render", "--facts", str(facts), "--out", str(folder), *drawn]) or 0)


def _lag(file: Path) -> None:
    """The instrument's own lag, a thousandth of the latency at each point."""
    points = pd.read_parquet(file)
    latency = points[points["metric"] == "ttft_p50"]
    lag = latency.assign(metric="client_lag_p50", value=latency["value"] / 1000, better="neither")
    pd.concat([points, lag], ignore_index=True).to_parquet(file, index=False)


def _whole_machine(file: Path) -> None:
    """What the whole machine had in use before the start and after the stop."""
    memory = pd.read_parquet(file)
    seen = {"server": "", "part": "host", "source": "kernel"}
    rows = [{**seen, "stage": "before", "value": 800.0 * 2**20}, {**seen, "stage": "stopped", "value": 810.0 * 2**20}]
    pd.concat([memory, pd.DataFrame(rows)], ignore_index=True).to_parquet(file, index=False)


def _spread(file: Path) -> None:
    """Requests at their own times and with their own latencies, as measured ones have."""
    requests = pd.read_parquet(file)
    chance = np.random.default_rng(len(str(file.name)))
    requests["ttft"] = chance.lognormal(np.log(60e6), 0.35, len(requests)).astype("int64")
    requests["e2e"] = requests["ttft"] + chance.lognormal(np.log(300e6), 0.2, len(requests)).astype("int64")
    requests["intended_ns"] = (requests.groupby(["model", "workload"]).cumcount() * 400_000_000).astype("int64")
    requests.to_parquet(file, index=False)
