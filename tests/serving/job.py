"""A measuring job in its own process: brings servers up, says which processes there are, and waits to be ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

from serving_study.serving.life import life
from tests.serving import servers


def main() -> None:
    """``job.py FOLDER KIND...``: one server of each kind."""
    folder = Path(sys.argv[1])
    specs = [servers.spec(getattr(servers, kind), f"{kind.lower()}-{n}") for n, kind in enumerate(sys.argv[2:])]
    with life(specs, folder, servers.listens):
        below = psutil.Process().children(recursive=True)
        (folder / "pids.partial").write_text(" ".join(str(p.pid) for p in below))
        (folder / "pids.partial").rename(folder / "pids")
        time.sleep(600)


if __name__ == "__main__":
    main()
