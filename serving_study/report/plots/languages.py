"""What a language costs: tokens and characters each second, one group of bars a language, intervals drawn.

Every panel has every language: where there is no bar, its place says why.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serving_study.report.plots import style
from serving_study.report.plots.data import Data
from serving_study.report.words import N_

_EMPTY: dict[str, Any] = {
    "xytext": (0, 3),
    "textcoords": "offset points",
    "rotation": 90,
    "ha": "center",
    "va": "bottom",
    "fontsize": 7,
    "color": style.QUIET,
}
"""How the reason for an empty place is written into it."""
MEASURES = (("output_throughput", "token/s"), ("character_throughput", "character/s"))


def draw(data: Data) -> Figure | None:
    """None with a single language."""
    if len(set(data.estimate(MEASURES[0][0])["language"])) < 2:
        return None
    load = data.workloads[-1]
    figure, axes = style.panels(len(data.models), len(MEASURES), height=1.9)
    for row, model in zip(axes, data.models, strict=True):
        for panel, (metric, unit) in zip(row, MEASURES, strict=True):
            _bars(panel, data, metric, model, load)
            panel.set_title(data.say(N_("{model}, load {load}"), model=model, load=load))
            panel.set_ylabel(data.unit(unit))
    style.legend_above(figure, *(panel for row in axes for panel in row))
    return figure


def _bars(panel: Axes, data: Data, metric: str, model: str, load: str) -> None:
    frame = data.estimate(metric, model=model, workload=load)
    languages = data.languages
    width = 0.8 / max(1, len(data.deployments))
    for place, deployment in enumerate(data.deployments):
        mine = frame[frame["deployment"] == deployment].set_index("language").reindex(languages)
        at = [i + (place - (len(data.deployments) - 1) / 2) * width for i in range(len(languages))]
        panel.bar(at, mine["value"], width * 0.92, color=style.colour(place), label=deployment)
        panel.errorbar(
            at,
            mine["value"],
            yerr=[mine["value"] - mine["low"], mine["high"] - mine["value"]],
            fmt="none",
            ecolor="black",
            elinewidth=1,
            capsize=2,
        )
        for x, language in zip(at, languages, strict=True):
            if language not in frame.loc[frame["deployment"] == deployment, "language"].to_numpy():
                why = data.reason(metric, model=model, workload=load, deployment=deployment, language=language)
                panel.annotate(why, (x, 0), **_EMPTY)
    panel.set_xlim(-0.5, len(languages) - 0.5)
    panel.set_xticks(range(len(languages)), [data.language_name(language) for language in languages])
    panel.grid(axis="x", visible=False)
    panel.margins(y=0.08)
    panel.set_ylim(bottom=0)
