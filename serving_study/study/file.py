"""A study file, read and checked: one message for each mistake."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from serving_study.study.errors import StudyError
from serving_study.study.types import Deployment, Study

Check = Callable[[Deployment], Iterable[tuple[str, object, str]]]
"""What an engine refuses of a deployment: key below it, value, and why with the next step."""


def read(path: Path, engines: Mapping[str, Check], root: Path = Path()) -> Study:
    """The study in ``path``, every name in it resolved, and no engine asked for what it would ignore.

    ``engines`` are the engines that exist, with what each refuses; ``root`` is the folder that ``config/`` stands in.
    Raises StudyError naming the file and every wrong key with its value and what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(f.stem for f in path.parent.glob("*.yaml"))) or "none"
        raise StudyError(f"{path}: no such study; there are: {known}") from None
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}; mend that line") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path}: holds {type(content).__name__}; a study is a mapping that starts with name: ...")
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise StudyError("\n".join(_mistakes(path, error))) from None
    problems = [f"{path}: {p}" for p in _unresolved(study, path, engines, root)]
    if problems:
        raise StudyError("\n".join(problems))
    return study


def _mistakes(path: Path, error: ValidationError) -> Iterator[str]:
    """One line a mistake: file, key, value, what is allowed."""
    for e in error.errors(include_url=False):
        # names of union members and of the dictionary's own parts say nothing to the reader
        where = ".".join(str(p) for p in e["loc"] if not str(p).endswith("Source") and str(p) != "[key]")
        value = "" if e["type"] in ("missing", "extra_forbidden") else f" = {_short(e['input'])}"
        yield f"{path}: {where or 'study'}{value}: {_allowed(e)}"


def _allowed(e: Any) -> str:
    if e["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(e["loc"][-1]), _KEYS, n=1)
        return f"unknown key{f'; did you mean {near[0]}?' if near else ''}; the schema lists the keys that are allowed"
    if e["type"] == "missing":
        return "is required"
    message: str = e["msg"]
    return message.removeprefix("Value error, ").replace("Input should", "should")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(schema: Any) -> Iterator[str]:
    yield from schema.get("properties", {})
    for part in schema.get("$defs", {}).values():
        yield from part.get("properties", {})


_KEYS = sorted(set(_keys(Study.model_json_schema())))


def _unresolved(study: Study, path: Path, engines: Mapping[str, Check], root: Path) -> Iterator[str]:
    """What is well typed but names something that is not there, or cannot be."""
    if study.name != path.stem:
        yield f"name = {study.name!r}: must be the file's own name, {path.stem!r}"
    for language in study.languages:
        if not (root / f"config/prompts/{language}.jsonl").is_file():
            yield f"languages: {language!r}: config/prompts/{language}.jsonl does not exist; add the prompts or leave it out"
    if study.claims and not (root / f"config/claims/{study.claims}.yaml").is_file():
        yield f"claims = {study.claims!r}: config/claims/{study.claims}.yaml does not exist"
    for name in study.loading:
        if name not in study.deployments:
            yield f"loading: {name!r}: must be one of deployments: {', '.join(study.deployments)}"
    yield from _deployments(study, engines)
    yield from _workloads(study, root)
    for name, case in study.use_cases.items():
        if case.slo is not None and case.slo not in study.slos:
            yield f"use_cases.{name}.slo = {case.slo!r}: must be one of slos: {', '.join(study.slos) or 'none'}"
        if case.workload is not None and case.workload not in study.workloads:
            yield f"use_cases.{name}.workload = {case.workload!r}: must be one of: {', '.join(study.workloads)}"


def _deployments(study: Study, engines: Mapping[str, Check]) -> Iterator[str]:
    taken: dict[int, str] = {}
    for name, d in study.deployments.items():
        key = f"deployments.{name}"
        if d.engine not in engines:
            yield f"{key}.engine = {d.engine!r}: must be one of: {', '.join(sorted(engines))}"
        else:
            yield from (f"{key}.{asked} = {_short(value)}: {why}" for asked, value, why in engines[d.engine](d))
        for model in d.models:
            if model not in study.models:
                yield f"{key}.models: {model!r}: must be one of models: {', '.join(study.models)}"
        for model in (*d.memory_share, *d.urls, *d.model_options):
            if model not in d.models:
                yield f"{key}: {model!r} has a memory share, URL or options but is not among its models"
        if sum(d.memory_share.values()) > 1:
            yield f"{key}.memory_share = {sum(d.memory_share.values()):g} in all: must not exceed 1"
        if d.runs_as == "external" and set(d.urls) != set(d.models):
            yield f"{key}.urls: an external deployment needs the URL of each of its models"
        if d.runs_as != "external" and d.port is None:
            yield f"{key}.port: is required; every server is given a port of its own from there on"
        if d.runs_as == "external" and d.port is not None:
            yield f"{key}.port = {d.port}: the URLs of an external deployment say its ports; leave it out"
        if d.runs_as != "external" and d.urls:
            yield f"{key}.urls = {_short(d.urls)}: only with runs_as: external; servers of the study answer on its ports"
        if d.port is not None:
            for port in range(d.port, d.port + len(d.models)):
                if port in taken:
                    yield f"{key}.port = {d.port}: port {port} belongs to deployments.{taken[port]}; leave {len(d.models)} free"
                    break
                taken[port] = name
        for variable in d.environment:
            if any(word in variable.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
                yield f"{key}.environment.{variable}: keys come from the environment of the command, never from a study"


def _workloads(study: Study, root: Path) -> Iterator[str]:
    for name, w in study.workloads.items():
        for key, file in (("prompts", w.prompts), ("replay", w.replay)):
            if file is not None and not (root / file).is_file():
                yield f"workloads.{name}.{key} = {file!r}: no such file"
        if w.concurrency is not None and w.requests < w.concurrency:
            yield f"workloads.{name}.requests = {w.requests}: must be at least its concurrency, {w.concurrency}"
        for deployment, d in study.deployments.items():
            if w.max_tokens >= d.context:
                yield (
                    f"workloads.{name}.max_tokens = {w.max_tokens}: must leave room for a prompt in "
                    f"deployments.{deployment}.context = {d.context}"
                )
