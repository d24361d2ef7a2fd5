"""Run llama.cpp's HTTP server out of the xllamacpp wheel: ``python -I llamacpp.py --model FILE --port N ...``.

Runs in the engine's environment, which holds nothing but xllamacpp. Answers TERM and INT by stopping the server, and is
killed by the kernel when its parent dies. ``--set NAME=VALUE`` sets any plain field of llama.cpp's ``common_params``;
an unknown name, or a value that does not become what was asked, ends the program before the model is loaded.
"""

from __future__ import annotations

import argparse
import ctypes
import enum
import json
import os
import signal
import sys
from importlib import import_module
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the server, wait for a signal, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="GGUF file; left out in router mode, where models_dir is set")
    parser.add_argument("--alias", help="the only model name that the server lists")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="field of common_params")
    args = parser.parse_args()
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    die_with_parent()
    xllamacpp = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    if args.model:
        params.model.path = args.model
    if args.alias:
        params.model_alias = {args.alias}
    for setting in args.set:
        name, _, value = setting.partition("=")
        set_field(xllamacpp, params, name, value)
    print(f"xllamacpp {xllamacpp.__version__}", flush=True)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as problem:
        sys.exit(f"llama.cpp did not start: {problem}")
    print(f"serving on {server.listening_address}", flush=True)
    signal.sigwait(stop)
    del server


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, even when the parent ended before this call."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def set_field(xllamacpp: Any, params: Any, name: str, value: str) -> None:
    """Set ``name`` (dotted for a field of a part, as ``cpuparams.n_threads``) to ``value``, in the field's own type."""
    *parts, field = name.split(".")
    owner = params
    for part in parts:
        owner = getattr(owner, part, None)
    if owner is None or not hasattr(owner, field):
        sys.exit(f"llama.cpp has no setting {name} = {value}")
    old = getattr(owner, field)
    try:
        setattr(owner, field, typed(xllamacpp, field, value, old))
    except (ValueError, TypeError, AttributeError, KeyError) as problem:
        sys.exit(f"llama.cpp does not take {name} = {value}: {problem}")


def typed(xllamacpp: Any, field: str, value: str, old: Any) -> Any:
    """``value`` in the type of ``old``: a KV type by its name, any other enumeration by member name or number."""
    if field in ("cache_type_k", "cache_type_v"):
        return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{value.upper()}")
    if isinstance(old, enum.Enum):
        return member(type(old), value)
    if isinstance(old, bool):
        return {"true": True, "false": False, "on": True, "off": False, "1": True, "0": False}[value.lower()]
    if isinstance(old, int | float):
        return type(old)(value)
    return value if isinstance(old, str) else json.loads(value)


def member(kind: type[enum.Enum], value: str) -> Any:
    """A member by its number or by the end of its name: ``1`` or ``enabled``."""
    if value.lstrip("-").isdigit():
        return kind(int(value))
    found = [m for name, m in kind.__members__.items() if name.endswith("_" + value.upper())]
    if len(found) != 1:
        raise ValueError(f"one of {', '.join(kind.__members__)} was expected")
    return found[0]


if __name__ == "__main__":
    main()
