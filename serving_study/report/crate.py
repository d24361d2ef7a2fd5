"""What a published study says of itself: a Workflow Run RO-Crate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from serving_study.study.types import (
    HuggingFaceSource,
    Model,
    OllamaSource,
    PackageSource,
    PathSource,
    Source,
    Study,
)

METADATA = "ro-crate-metadata.json"
LICENSE = "https://www.apache.org/licenses/LICENSE-2.0"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
FORMATS = {
    ".cff": "application/yaml",
    ".css": "text/css",
    ".csv": "text/csv",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".otf": "font/otf",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
"""Words beside those of RO-Crate 1.1."""
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a crate: bytes, or where they lie; a large file is never held in memory."""

    source: Path | bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def open(self) -> BytesIO | BufferedReader:
        """The bytes as a stream."""
        return BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")


def describe(study: Study, files: Mapping[str, Member], cells: Sequence[Mapping[str, Any]], version: str) -> bytes:
    """``ro-crate-metadata.json`` for the files of a study measured in ``cells`` (contents of ``cell.json``)."""
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    crate.metadata.append_to("conformsTo", {"@id": WORKFLOW_CRATE})
    started, ended = (_utc(pick(c[key]["utc_ns"] for c in cells)) for key, pick in _SPAN)
    authors = _about(crate, "#contributors", "Organization", name="llm-serving-study contributors")
    root = {
        "name": f"llm-serving-study: {study.name}",
        "description": f"{study.question.get('en', study.name)} A measured study with its reports, data and source.",
        "datePublished": ended[:10],
        "author": authors,
        "publisher": authors,
        "keywords": "LLM serving, benchmark, " + ", ".join(sorted({d.engine for d in study.deployments.values()})),
        "license": _about(crate, LICENSE, "CreativeWork", name="Apache License 2.0", identifier="Apache-2.0"),
        "conformsTo": [_about(crate, uri, "CreativeWork", name=name, version=v) for uri, (name, v) in PROFILES.items()],
    }
    parts = {
        name: crate.add(_file(crate, name, member)) for name, member in sorted(files.items()) if name != "Snakefile"
    }
    workflow = crate.add(_workflow(crate, files["Snakefile"], version))
    workflow["creator"] = authors
    asked = parts[f"config/studies/{study.name}.yaml"]
    prompts = [parts[f"config/prompts/{language}.jsonl"] for language in study.languages]
    reports = [part for name, part in parts.items() if name.startswith("reports/")]
    workflow["input"] = [_parameter(crate, "study", asked), _parameter(crate, "prompts", *prompts)]
    workflow["output"] = _parameter(crate, "report", *reports)
    workflow["conformsTo"] = {"@id": BIOSCHEMAS}
    parts["README.md"]["about"] = crate.root_dataset
    run = {
        "name": f"Measuring and reporting of {study.name}",
        "startTime": started,
        "endTime": ended,
        "agent": authors,
        "instrument": workflow,
        "object": [asked, *prompts, *_models(crate, study)],
        "result": [part for name, part in parts.items() if name.startswith(("reports/", "results/", "recorded/"))],
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "description": _how(cells),
    }
    for key, value in root.items():
        crate.root_dataset[key] = value
    crate.root_dataset["mainEntity"] = workflow
    crate.root_dataset["mentions"] = [_about(crate, "#run", "CreateAction", **run), *_engines(crate, study)]
    text = json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


_SPAN = (("clock_start", min), ("clock_end", max))


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).isoformat()


def _how(cells: Sequence[Mapping[str, Any]]) -> str:
    commits = sorted({str(cell["commit"] or "unknown") for cell in cells})
    hosts = sorted({f"{c['host']['processor']}, {c['host']['cores']} cores, {c['host']['system']}" for c in cells})
    lives = len({cell["life"] for cell in cells})
    return f"{len(cells)} cells in {lives} server lives; measured by commit {', '.join(commits)}; on {'; '.join(hosts)}"


def _about(crate: ROCrate, uri: str, kind: str, /, **properties: Any) -> ContextEntity:
    entity = crate.add(ContextEntity(crate, uri, {"@type": kind}))
    for key, value in properties.items():
        entity[key] = value
    return entity


def _file(crate: ROCrate, name: str, member: Member) -> File:
    kind = FORMATS.get("." + name.rsplit(".", 1)[-1], "text/plain")
    return File(crate, dest_path=name, properties={"name": name, **_said(member, kind)})


def _said(member: Member, kind: str) -> dict[str, str]:
    return {"encodingFormat": kind, "contentSize": str(member.size), "sha256": member.sha256}


def _workflow(crate: ROCrate, member: Member, version: str) -> File:
    language = _about(
        crate,
        SNAKEMAKE,
        "ComputerLanguage",
        name="Snakemake",
        identifier="https://doi.org/10.1093/bioinformatics/bts480",
        url="https://snakemake.readthedocs.io",
    )
    properties = {
        **_said(member, "text/x-snakemake"),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "llm-serving-study",
        "version": version,
    }
    workflow = File(crate, dest_path="Snakefile", properties=properties)
    workflow["programmingLanguage"] = language
    workflow["license"] = crate.get(LICENSE)
    return workflow


def _parameter(crate: ROCrate, name: str, *examples: File) -> ContextEntity:
    parameter = _about(
        crate,
        f"#parameter-{name}",
        "FormalParameter",
        name=name,
        additionalType="File",
        workExample=_one_or_all(examples),
    )
    for example in examples:
        example["exampleOfWork"] = parameter
    return parameter


def _one_or_all(entities: Sequence[File]) -> File | list[File]:
    return entities[0] if len(entities) == 1 else list(entities)


def _models(crate: ROCrate, study: Study) -> list[ContextEntity]:
    return [_model(crate, name, model) for name, model in study.models.items()]


def _model(crate: ROCrate, name: str, model: Model) -> ContextEntity:
    properties = {
        "name": name,
        "license": model.license,
        "description": f"{_from(model.source)}, weights {model.weights}",
    }
    if model.sha256:
        properties["identifier"] = f"sha256:{model.sha256}"
    return _about(crate, f"#model-{name}", "CreativeWork", **properties)


def _from(source: Source) -> str:
    match source:
        case PackageSource():
            return f"{source.file} of {source.package} {source.version} on the Python Package Index"
        case HuggingFaceSource():
            return f"{source.repository} on Hugging Face at revision {source.revision}"
        case OllamaSource():
            return f"{source.ollama} in Ollama's library"
        case PathSource():
            return "a file of the measuring machine"


def _engines(crate: ROCrate, study: Study) -> list[ContextEntity]:
    used = sorted({(d.engine, d.version) for d in study.deployments.values()})
    return [
        _about(crate, f"#engine-{engine}-{version}", "SoftwareApplication", name=engine, softwareVersion=version)
        for engine, version in used
    ]
