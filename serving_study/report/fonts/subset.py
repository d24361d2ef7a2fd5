"""Cuts the figures' font out of Noto Sans CJK: Latin, Hangul of KS X 1001 and the Han that the catalogs use.

Run where Debian's ``fonts-noto-cjk`` is installed: ``python -m serving_study.report.fonts.subset``. The result is kept in
git, so that a figure has the same bytes on every machine; this script is how it came to be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection

HERE = Path(__file__).parent
SOURCE = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
TARGET = HERE / "NotoSansCJKkr-Subset.otf"
FACE = "Noto Sans CJK KR"
NAMES_OF_LANGUAGES = "中文简体繁體日本語漢字"


def characters() -> str:
    """Every character that a figure may need."""
    latin = [*range(0x20, 0x7F), *range(0xA0, 0x180)]
    marks = [*range(0x2010, 0x2028), *range(0x2030, 0x203B), *range(0x2080, 0x208A), *range(0x2190, 0x2194)]
    signs = [
        0x2070,
        0x2074,
        0x2212,
        0x221E,
        0x2248,
        0x2264,
        0x2265,
        0x25CF,
        0x25A0,
        0x25B2,
        0x300C,
        0x300D,
        0x3001,
        0x3002,
    ]
    jamo = range(0x3131, 0x3164)
    catalogs = "".join(path.read_text("utf-8") for path in sorted((HERE.parent / "catalogs").glob("*.po")))
    return "".join(map(chr, [*latin, *marks, *signs, *jamo])) + ks_x_1001_hangul() + NAMES_OF_LANGUAGES + catalogs


def ks_x_1001_hangul() -> str:
    """The syllables of KS X 1001, rows 16 to 40."""
    rows = (bytes([row, cell]) for row in range(0xB0, 0xC9) for cell in range(0xA1, 0xFF))
    return b"".join(rows).decode("euc_kr")


def cut(source: Path, target: Path) -> None:
    """Write the subset of ``source`` to ``target``."""
    font = next(f for f in TTCollection(source).fonts if f["name"].getDebugName(1) == FACE)
    options = subset.Options(layout_features=["kern"], name_IDs=["*"], notdef_outline=True, hinting=False)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters())
    cutter.subset(font)
    font.recalcTimestamp = False
    subset.save_font(font, target, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    cut(arguments.source, arguments.target)
