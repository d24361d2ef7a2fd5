"""How every figure looks, and how it becomes the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke

from serving_study.report.fonts import FONT

WIDTH = 6.25
"""Inches: 600 pixels of a web page."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: told apart by colour-blind readers, too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
QUIET = "#57606a"
SHADE = "#009E73"

_SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#e4e8ec",
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "llm-serving-study",
    "path.simplify": True,
    "savefig.facecolor": "white",
}


def use() -> None:
    """Apply the look to everything drawn from here on."""
    mpl.use("Agg")
    mpl.rcdefaults()
    font_manager.fontManager.addfont(str(FONT))
    mpl.rcParams.update(_SETTINGS)
    mpl.rcParams["font.family"] = font_manager.FontProperties(fname=str(FONT)).get_name()


def panels(rows: int, columns: int, height: float = 2.3, **shared: Any) -> tuple[Figure, list[list[Axes]]]:
    """A figure as wide as a page with a grid of panels, each ``height`` inches high."""
    figure = Figure(figsize=(WIDTH, height * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, [list(row) for row in axes]


def colour(place: int) -> str:
    """Colour of the deployment at this place."""
    return COLOURS[place % len(COLOURS)]


def ink_on(background: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = to_rgb(background)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def marker(place: int) -> str:
    """Marker of the deployment at this place."""
    return MARKERS[place % len(MARKERS)]


def dashes(place: int) -> str:
    """Line style of the deployment at this place."""
    return LINES[place % len(LINES)]


def legend_above(figure: Figure, *panels: Axes) -> None:
    """One legend for all panels, over them."""
    found: dict[str, Any] = {}
    for panel in panels:
        found |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    labels = sorted(found)
    figure.legend(
        [found[label] for label in labels],
        labels,
        loc="outside upper left",
        ncols=min(4, max(1, len(labels))),
        borderaxespad=0.2,
    )


def halo() -> list[AbstractPathEffect]:
    """A white rim that keeps a label readable on top of lines."""
    return [withStroke(linewidth=2.5, foreground="white")]


def save(figure: Figure, folder: Path, name: str) -> None:
    """``NAME.svg`` and ``NAME.png``, without a date or a version in them."""
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", dpi=192, metadata={"Software": None})
