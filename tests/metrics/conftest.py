"""Tests of this room build their raw files with ``raw_cell``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
