"""Figures: the same bytes from the same tables, in both languages, without text that needs a font."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib.axes import Axes
from PIL import Image

from serving_study.__main__ import main
from serving_study.report.catalogs import catalog
from serving_study.report.facts import read_facts
from serving_study.report.fonts.subset import ks_x_1001_hangul
from serving_study.report.plots import frontier, languages, style
from serving_study.report.plots.data import Data

NAMES = ("frontier", "languages", "latency", "memory", "timeline", "warmup")


def test_every_figure_is_drawn_in_every_language_as_svg_and_png(figures: Path) -> None:
    wanted = {f"{name}.{language}.{kind}" for name in NAMES for language in ("en", "ko") for kind in ("svg", "png")}
    assert {path.name for path in figures.iterdir()} == wanted


def test_the_same_tables_give_the_same_bytes(study: Path, figures: Path, tmp_path: Path) -> None:
    assert plot(study, tmp_path, "--language", "ko") == 0
    drawn = sorted(tmp_path.iterdir())
    assert drawn
    for path in drawn:
        assert path.read_bytes() == (figures / path.name).read_bytes(), path.name


def test_svg_text_is_drawn_as_paths_and_names_no_date(figures: Path) -> None:
    for path in figures.glob("*.svg"):
        text = path.read_text("utf-8")
        assert (
            "<text" not in text
            and "dc:date" not in text
            and "http"
            not in text.replace("http://www.w3.org", "")
            .replace("http://purl.org", "")
            .replace("http://creativecommons.org", "")
        ), path.name


def test_a_figure_is_readable_at_the_width_of_a_page(figures: Path) -> None:
    for path in figures.glob("*.png"):
        with Image.open(path) as image:
            assert image.width == 1200 and image.height <= 2400, path.name


def test_a_study_of_one_load_and_language_leaves_out_what_it_cannot_draw(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "tables", tmp_path / "tables")
    for name in ("estimates", "points"):
        frame = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        frame = frame[(frame["workload"] == "c1") & (frame["language"] == "ko")]
        frame.to_parquet(tmp_path / "tables" / f"{name}.parquet", index=False)
    command = ["plot", "--tables", str(tmp_path / "tables"), "--facts", str(study / "facts.json")]
    assert main([*command, "--out", str(tmp_path / "figures"), "--language", "en"]) == 0
    drawn = {path.name.split(".")[0] for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"memory", "warmup"}


def test_the_font_has_hangul_and_han_and_is_small() -> None:
    with TTFont(style.FONT) as font:
        known = set(font.getBestCmap())
    assert len(ks_x_1001_hangul()) == 2350
    assert {ord(c) for c in ks_x_1001_hangul() + "中文漢字×±µ→ABCxyz0189"} <= known
    assert style.FONT.stat().st_size < 2_000_000
    assert "SIL OPEN FONT LICENSE" in (style.FONT.parent / "OFL.txt").read_text("utf-8")


def test_colours_are_told_apart_without_red_and_green() -> None:
    assert len(set(style.COLOURS)) == len(style.COLOURS) == len(style.MARKERS)


@pytest.mark.parametrize(("background", "ink"), [("#000000", "white"), ("#0072B2", "white"), ("#E69F00", "black")])
def test_labels_on_bars_are_readable(background: str, ink: str) -> None:
    assert style.ink_on(background) == ink


def empty_places(study: Path, folder: Path) -> Data:
    """Tables of the study in which one model answered Korean in another language, at every deployment."""
    shutil.copytree(study / "tables", folder / "tables")
    estimates = pd.read_parquet(folder / "tables" / "estimates.parquet")
    model = min(set(estimates["model"]) - {"*"})
    where = (estimates["metric"] == "character_throughput") & (estimates["language"] == "ko")
    where &= estimates["model"] == model
    estimates.loc[where, ["value", "low", "high"]] = None
    estimates.loc[where, "reason"] = "other-language"
    estimates.to_parquet(folder / "tables" / "estimates.parquet", index=False)
    return data_of(folder / "tables", study)


def data_of(tables: Path, study: Path, language: str = "en") -> Data:
    style.use()
    return Data(tables, [], read_facts(study / "facts.json"), catalog(language))


def texts(panel: Axes) -> list[str]:
    return [text.get_text() for text in panel.texts]


def test_every_language_has_a_place_in_every_panel_and_an_empty_one_says_why(study: Path, tmp_path: Path) -> None:
    data = empty_places(study, tmp_path)
    figure = languages.draw(data)
    assert figure is not None
    widths = set()
    for panel in figure.axes:
        assert [label.get_text() for label in panel.get_xticklabels()] == ["English", "Korean", "Chinese"]
        widths |= {round(bar.get_width() / (panel.get_xlim()[1] - panel.get_xlim()[0]), 6) for bar in panel.patches}
    assert len(widths) == 1, "bars of one width in all panels"
    said = [texts(panel) for panel in figure.axes]
    assert sorted(map(len, said)) == [0] * (len(said) - 1) + [len(data.deployments)]
    assert {text for panel in said for text in panel} == {"answered in another language"}


def test_the_shaded_part_of_the_frontier_is_named_for_the_one_limit_that_it_shows(study: Path) -> None:
    for language, said in (
        ("en", "TTFT limit of interactive:\n500 ms"),
        ("ko", "SLO(interactive)의 TTFT 한도:\n500 ms"),
    ):
        figure = frontier.draw(data_of(study / "tables", study, language))
        assert figure is not None
        figure.draw_without_rendering()
        for panel in figure.axes:
            (label,) = [text for text in panel.texts if "500" in text.get_text()]
            assert label.get_text() == said
            frame, box = panel.get_window_extent(), label.get_window_extent()
            assert frame.x0 - 1 <= box.x0
            assert box.x1 <= frame.x1 + 1
            assert box.y1 <= frame.y1 + 1


def test_names_of_loads_do_not_lie_on_each_other(study: Path) -> None:
    data = data_of(study / "tables", study)
    figure = frontier.draw(data)
    assert figure is not None
    for panel in figure.axes:
        marks = {text.xyann for text in panel.texts if text.get_text() in data.workloads}
        assert len(marks) == len(data.deployments), "each deployment's names stand on their own side of the marks"


def plot(study: Path, folder: Path, *more: str) -> int:
    metrics = sorted(map(str, study.glob("cells/*/*/*/metrics.parquet")))
    command = ["plot", "--tables", str(study / "tables"), "--facts", str(study / "facts.json"), "--metrics", *metrics]
    return int(main([*command, "--out", str(folder), *more]) or 0)
