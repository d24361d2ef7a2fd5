"""Cumulative distribution of end-to-end latency: models across, the lightest and the heaviest load down."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from serving_study.report.plots import style
from serving_study.report.plots.data import MS, Data
from serving_study.report.words import N_


def draw(data: Data) -> Figure | None:
    """None without requests."""
    requests = data.requests
    requests = requests[requests["language"] == data.language]
    if requests.empty or not data.models:
        return None
    loads = list(dict.fromkeys([data.workloads[0], data.workloads[-1]]))
    models = data.models[:3]
    figure, axes = style.panels(len(loads), len(models), height=2.1, sharey=True)
    for row, load in zip(axes, loads, strict=True):
        for panel, model in zip(row, models, strict=True):
            of_panel = requests[(requests["model"] == model) & (requests["workload"] == load)]
            for place, deployment in enumerate(data.deployments):
                times = np.sort(of_panel.loc[of_panel["deployment"] == deployment, "e2e"].dropna().to_numpy(float)) / MS
                if len(times):
                    share = np.arange(1, len(times) + 1) / len(times)
                    line: dict[str, Any] = {
                        "color": style.colour(place),
                        "linestyle": style.dashes(place),
                        "label": deployment,
                    }
                    panel.step(np.append(times[:1], times), np.append(0, share), where="post", **line)
            panel.set_title(data.say(N_("{model}, load {load}"), model=model, load=load))
            panel.set_xlim(left=0)
            panel.set_ylim(0, 1.02)
            panel.yaxis.set_major_formatter(PercentFormatter(1))
    name = data.language_name(data.language)
    figure.supxlabel(
        data.say(N_("End-to-end latency (ms), prompts in: {language}"), language=name), fontsize=9, color=style.QUIET
    )
    figure.supylabel(data.say(N_("Share of requests")), fontsize=9, color=style.QUIET)
    style.legend_above(figure, *(panel for row in axes for panel in row))
    return figure
