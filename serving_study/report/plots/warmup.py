"""The first requests after the start: how long each took, until steady."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from serving_study.report.plots import style
from serving_study.report.plots.data import MS, Data
from serving_study.report.words import N_


def draw(data: Data) -> Figure | None:
    """None where no warm-up was measured."""
    curve, reached = data.table("warmup_curve"), data.table("warmup")
    if curve.empty:
        return None
    models = sorted(curve["model"].unique())[:3]
    figure, axes = style.panels(1, len(models), height=2.3)
    for panel, model in zip(axes[0], models, strict=True):
        for place, deployment in enumerate(data.deployments):
            mine = curve[(curve["deployment"] == deployment) & (curve["model"] == model)].sort_values("request")
            look: dict[str, Any] = {
                "color": style.colour(place),
                "marker": style.marker(place),
                "linestyle": style.dashes(place),
            }
            panel.plot(mine["request"], mine["duration"] / MS, label=deployment, **look)
            steady = reached[(reached["deployment"] == deployment) & (reached["model"] == model) & reached["steady"]]
            for request in steady["requests"]:
                panel.axvline(request, color=style.colour(place), linewidth=1, linestyle=":")
        panel.set_title(model)
        panel.margins(y=0.08)
        panel.set_ylim(bottom=0)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0][0].set_ylabel(data.say(N_("Duration (ms)")))
    figure.supxlabel(
        data.say(N_("Request after the start; dotted: steady from here on")), fontsize=9, color=style.QUIET
    )
    style.legend_above(figure, *(panel for row in axes for panel in row))
    return figure
