"""How late the client is where the kernel cannot tell: ``python -m benchmarks.calibration --streams 64``.

Drives the known-truth server over TLS with the load that is to be measured, and prints what the client said and what was
true, in ms. Their difference is the error to expect of a study over TLS on this machine under that load. Requests that
open their connection are left out: the server shakes hands with one client at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

from benchmarks.accuracy import said_by_recorder, said_by_truth
from serving_study.load.point import run_point
from serving_study.load.schedule import open_loop_offsets
from tests.truth.harness import certificate, plan, truth


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    load = parser.add_mutually_exclusive_group(required=True)
    load.add_argument("--streams", type=int)
    load.add_argument("--rate", type=float)
    parser.add_argument("--requests", type=int, default=512)
    parser.add_argument("--max-tokens", type=int, default=64)
    args = parser.parse_args()
    offsets = open_loop_offsets(args.rate, args.requests, "poisson", 1) if args.rate else None
    with tempfile.TemporaryDirectory() as folder:
        cert, key = certificate(Path(folder))
        os.environ["SSL_CERT_FILE"] = str(cert)
        with truth("--tls", str(cert), str(key)) as server:
            planned = plan(
                server.port, args.requests, concurrency=args.streams, offsets=offsets, host="localhost", tls=True,
                max_tokens=args.max_tokens, connection="pooled",
            )  # fmt: skip
            recording = run_point(planned, concurrency=args.streams)
            log = server.log()
    skip = args.streams or args.requests // 4
    true = said_by_truth(log[f"q-{i}"] for i in range(skip, args.requests))
    said = said_by_recorder(recording, args.requests * args.max_tokens, skip)
    print(
        json.dumps(
            {"said": said, "truth": true, "error_ms": {name: said[name] - true[name] for name in true}}, indent=2
        )
    )


if __name__ == "__main__":
    main()
