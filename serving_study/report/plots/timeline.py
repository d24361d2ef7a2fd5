"""Time to first token and gap between chunks of each request over the measuring window, under the heaviest load."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from serving_study.report.plots import style
from serving_study.report.plots.data import MS, Data
from serving_study.report.words import N_


def draw(data: Data) -> Figure | None:
    """None without requests whose start is known."""
    requests = data.requests
    if requests.empty or "start_s" not in requests:
        return None
    load = data.workloads[-1]
    requests = requests[(requests["language"] == data.language) & (requests["workload"] == load)]
    models = data.models[:3]
    figure, axes = style.panels(2, len(models), height=2.0, sharex="col")
    for column, model in enumerate(models):
        of_model = requests[requests["model"] == model]
        for place, deployment in enumerate(data.deployments):
            mine = of_model[of_model["deployment"] == deployment]
            look: dict[str, Any] = {
                "color": style.colour(place),
                "marker": style.marker(place),
                "s": 14,
                "alpha": 0.7,
                "linewidths": 0,
            }
            axes[0][column].scatter(mine["start_s"], mine["ttft"].astype(float) / MS, label=deployment, **look)
            axes[1][column].scatter(mine["start_s"], _gap(mine) / MS, **look)
        axes[0][column].set_title(data.say(N_("{model}, load {load}"), model=model, load=load))
        for row in axes:
            row[column].set_ylim(bottom=0)
    axes[0][0].set_ylabel(data.say(N_("TTFT (ms)")))
    axes[1][0].set_ylabel(data.say(N_("Mean gap between chunks (ms)")))
    name = data.language_name(data.language)
    time = data.say(N_("Time since the first request of the point (s), prompts in: {language}"), language=name)
    figure.supxlabel(time, fontsize=9, color=style.QUIET)
    style.legend_above(figure, *(panel for row in axes for panel in row))
    return figure


def _gap(requests: pd.DataFrame) -> pd.Series[float]:
    chunks = requests["chunks"].astype(float)
    gaps = (requests["e2e"].astype(float) - requests["ttft"].astype(float)) / (chunks - 1)
    return gaps.where(chunks > 1)
