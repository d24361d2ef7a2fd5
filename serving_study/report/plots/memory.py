"""Memory by part: what the servers used at their peak beside what the engine tells, never on top of each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serving_study.report.plots import style
from serving_study.report.plots.data import MIB, Data
from serving_study.report.words import N_, PARTS

USED = ("device", "pss")
"""Parts that say what is used, the accelerator's before the kernel's."""
TOLD = (("weights_memory", "weights"), ("kv_capacity", "kv_capacity"))
Segment = tuple[str, float]


def draw(data: Data) -> Figure | None:
    """None where no memory was read."""
    profile, deployments = data.table("memory"), data.table("deployments").set_index("deployment")
    bars: list[tuple[str, str, list[Segment]]] = []
    for deployment in data.deployments:
        used = _used(profile[profile["deployment"] == deployment])
        told = [
            (data.say(PARTS[word]), value)
            for column, word in TOLD
            for value in deployments.loc[deployments.index == deployment, column].dropna().to_numpy(float).tolist()
        ]
        bars += [(deployment, data.say(N_("used at the peak")), used)] if used else []
        bars += [(deployment, data.say(N_("told by the engine")), told)] if told else []
    if not bars:
        return None
    figure, axes = style.panels(1, 1, height=0.6 * len(bars) + 0.4)
    _stacks(axes[0][0], bars)
    axes[0][0].set_xlabel(data.say(N_("Memory (MiB), one life of each deployment")))
    return figure


def _used(profile: pd.DataFrame) -> list[Segment]:
    peak = profile[profile["stage"] == "peak"]
    for part in USED:
        mine = peak[(peak["part"] == part) & (peak["value"] > 0)]
        if len(mine):
            by_server = mine[mine["server"] != ""] if (mine["server"] != "").any() else mine
            ordered = by_server.sort_values("server")
            return list(zip(ordered["server"].astype(str), ordered["value"].to_numpy(float).tolist(), strict=True))
    return []


def _stacks(panel: Axes, bars: Sequence[tuple[str, str, list[Segment]]]) -> None:
    names = list(dict.fromkeys(name for _, _, segments in bars for name, _ in segments))
    widest = max(sum(value for _, value in segments) for _, _, segments in bars) / MIB
    for place, (_, _, segments) in enumerate(bars):
        left = 0.0
        unnamed: list[str] = []
        for name, value in segments:
            width = value / MIB
            panel.barh(place, width, left=left, height=0.62, color=style.colour(names.index(name)), edgecolor="white")
            small = width <= 0.16 * widest
            unnamed += [f"{name} {width:,.0f}"] if small else []
            if not small:
                ink = style.ink_on(style.colour(names.index(name)))
                label = f"{name}\n{width:,.0f}"
                panel.annotate(label, (left + width / 2, place), ha="center", va="center", fontsize=8, color=ink)
            left += width
        panel.annotate(
            f"{left:,.0f} MiB" + "".join(f"; {part}" for part in unnamed),
            (left, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    panel.set_yticks(range(len(bars)), [f"{deployment}\n{kind}" for deployment, kind, _ in bars])
    panel.invert_yaxis()
    panel.set_xlim(0, widest * 1.2)
    panel.grid(axis="y", visible=False)
