"""The font of the figures, and of pages where a reader's machine has no Hangul or Han."""

import base64
from pathlib import Path

FONT = Path(__file__).with_name("NotoSansCJKkr-Subset.otf")


def as_data() -> str:
    """The font in base64, for a style sheet."""
    return base64.b64encode(FONT.read_bytes()).decode()
