"""The font of the figures, and of the page where a reader's machine has no Hangul or Han."""

from pathlib import Path

FONT = Path(__file__).with_name("NotoSansCJKkr-Subset.otf")
