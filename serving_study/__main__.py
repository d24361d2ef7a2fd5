"""The command line that the rules of the workflow (and people) call: ``python -m serving_study COMMAND``."""

from __future__ import annotations

import argparse
import ast
import sys
from importlib import import_module
from pathlib import Path

from serving_study.logs import log_to
from serving_study.study.errors import StudyError

COMMANDS = Path(__file__).parent / "commands"


def names() -> dict[str, str]:
    """Command to its one-line help, without importing any of them."""
    found = {}
    for file in sorted(COMMANDS.glob("*.py")):
        if file.stem != "__init__":
            found[file.stem.replace("_", "-")] = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """Run one command; 0 is success, 2 an input that must be mended."""
    known = names()
    if not arguments or arguments[0] in ("-h", "--help") or arguments[0] not in known:
        wide = max(map(len, known))
        print("usage: python -m serving_study COMMAND ...\n")
        print("\n".join(f"  {name:{wide}}  {says}" for name, says in known.items()))
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    name, *rest = arguments
    command = import_module(f"serving_study.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"python -m serving_study {name}", description=command.__doc__)
    command.add_arguments(parser)
    parser.add_argument("--log", type=Path, help="write the structured log here, too")
    args = parser.parse_args(rest)
    log_to(args.log, name)
    try:
        return command.run(args) or 0
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
