"""Throughput against latency: one panel a model and type of weights, one line a deployment, one point a load."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serving_study.report.plots import style
from serving_study.report.plots.data import MS, Data
from serving_study.report.words import N_

LATENCY, THROUGHPUT = "ttft_p50", "output_throughput"
HEADROOM = 1.25
"""Room above the highest point for the label of the objective."""
OFFSETS = ((6, -11), (6, 5), (-6, 5), (-6, -11))
"""Points (right, up) from a mark to its load's name: neighbours in the legend stand on different sides of their marks."""


def draw(data: Data) -> Figure | None:
    """None with a single load, which is no frontier."""
    if len(data.workloads) < 2 or data.estimate(LATENCY).empty or data.estimate(THROUGHPUT).empty:
        return None
    kinds = sorted({(model, kind) for (model, _), kind in data.weights.items() if model in data.models})
    columns = min(2, len(kinds))
    rows = -(-len(kinds) // columns)
    figure, axes = style.panels(rows, columns, height=2.7)
    panels = [panel for row in axes for panel in row]
    for panel, (model, weights) in zip(panels, kinds, strict=False):
        _panel(panel, data, model, weights)
    for panel in panels[len(kinds) :]:
        panel.set_visible(False)
    figure.supxlabel(data.metric(LATENCY, "ms"), fontsize=9, color=style.QUIET)
    figure.supylabel(data.metric(THROUGHPUT, "token/s"), fontsize=9, color=style.QUIET)
    style.legend_above(figure, *panels)
    return figure


def _panel(panel: Axes, data: Data, model: str, weights: str) -> None:
    highest = 0.0
    for place, deployment in enumerate(data.deployments):
        if data.weights.get((model, deployment)) != weights:
            continue
        where = {"model": model, "language": data.language, "deployment": deployment}
        latency = data.estimate(LATENCY, **where).set_index("workload")
        throughput = data.estimate(THROUGHPUT, **where).set_index("workload")
        loads = [w for w in data.workloads if w in latency.index and w in throughput.index]
        if not loads:
            continue
        x, low, high = (latency.loc[loads, end].to_numpy(float) / MS for end in ("value", "low", "high"))
        y, bottom, top = (throughput.loc[loads, end].to_numpy(float) for end in ("value", "low", "high"))
        panel.errorbar(
            x,
            y,
            xerr=[x - low, high - x],
            yerr=[y - bottom, top - y],
            color=style.colour(place),
            marker=style.marker(place),
            linestyle=style.dashes(place),
            elinewidth=1,
            capsize=2,
            label=deployment,
        )
        highest = max(highest, float(np.fmax(x, high).max()))
        for at, load in zip(zip(x.tolist(), y.tolist(), strict=True), loads, strict=True):
            beside, above = OFFSETS[place % len(OFFSETS)]
            panel.annotate(
                load,
                at,
                xytext=(beside, above),
                textcoords="offset points",
                ha="left" if beside > 0 else "right",
                fontsize=8,
                path_effects=style.halo(),
                color=style.colour(place),
            )
    panel.set_title(
        data.say(
            N_("{model} ({weights}), prompts in: {language}"),
            model=model,
            weights=weights,
            language=data.language_name(data.language),
        )
    )
    panel.margins(y=0.1)
    panel.set_ylim(0, panel.get_ylim()[1] * HEADROOM)
    panel.set_xlim(0, highest * 1.15 or 1)
    _objective(panel, data)


def _objective(panel: Axes, data: Data) -> None:
    """Shade up to the strictest limit that an objective puts on this latency; it may limit other things, too."""
    limits = [
        (float(fact.value) / MS, fact.about("slo"))
        for fact in data.facts.where(under="slo/")
        if fact.id.endswith("/ttft") and isinstance(fact.value, int | float)
    ]
    if not limits:
        return
    limit, name = min(limits)
    right = panel.get_xlim()[1]
    panel.axvspan(0, min(limit, right), color=style.SHADE, alpha=0.08, linewidth=0)
    if limit < right:
        panel.axvline(limit, color=style.SHADE, linewidth=1)
    left_of_line = limit > right / 2
    panel.annotate(
        data.say(N_("TTFT limit of {slo}: {limit} ms"), slo=name, limit=f"{limit:g}").replace(": ", ":\n"),
        (min(limit, right), 1),
        xytext=(-4 if left_of_line else 4, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if left_of_line else "left",
        va="top",
        fontsize=8,
        path_effects=style.halo(),
        color="#00664b",
    )
