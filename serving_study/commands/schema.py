"""Write the JSON schema of a study, generated from its types."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from serving_study.study.types import Study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write it."""
    parser.add_argument("out", type=Path, nargs="?", default=Path("workflow/schemas/study.schema.json"))


def text() -> str:
    """The schema as it stands in ``workflow/schemas/study.schema.json``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Study.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def run(args: argparse.Namespace) -> None:
    """Write it."""
    args.out.write_text(text())
