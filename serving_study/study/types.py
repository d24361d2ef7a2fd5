"""The types of a study file: what may stand in ``config/studies/*.yaml``.

Everything here is frozen and strict: an unknown key or a wrong type is refused. The JSON schema in
``workflow/schemas/study.schema.json`` is generated from these classes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=40)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
Port = Annotated[int, Field(ge=1024, le=65535)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Scalar = bool | int | float | str


class Strict(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageSource(Strict):
    """Model files inside wheels of the Python package index."""

    package: str
    version: str
    parts: tuple[str, ...] = ()
    """Further packages of the same version that hold the rest of the file."""
    file: str
    """Path of the file inside the installed package, or the name to assemble it under when there are parts."""


class PathSource(Strict):
    """A file or folder on this machine."""

    path: str


class HuggingFaceSource(Strict):
    """A repository of a Hugging Face hub at a pinned revision."""

    repository: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: tuple[str, ...] = ()
    """Empty: all files of the repository."""


class OllamaSource(Strict):
    """A name in Ollama's library."""

    ollama: str


Source = PackageSource | PathSource | HuggingFaceSource | OllamaSource


class Model(Strict):
    """What is served."""

    source: Source
    sha256: Sha256 | None = None
    """Of the GGUF file (or, for a folder, of its sorted ``sha256  name`` lines). Required unless the study is a template."""
    license: str
    parameters: Annotated[int, Field(gt=0)]
    weights: str
    """Type of the weights, e.g. ``Q4_1``, ``F16``; engines are ranked only among equal types."""
    api: Literal["chat", "completions"]
    """``chat`` applies the model's own chat template on the server; ``completions`` sends the prompt raw."""
    ollama: str | None = None
    """Its name in Ollama's library: what an engine loads that takes names and cannot load ``source``."""
    template_tokens: Annotated[int, Field(ge=0)] = 0
    """Length of the chat template's fixed prefix: more cached tokens than this are a CACHE_HIT."""


class Deployment(Strict):
    """An engine with its settings and a set of models: one or more servers."""

    engine: str
    version: str
    models: Annotated[tuple[Name, ...], Field(min_length=1)]
    runs_as: Literal["process", "container", "external"] = "process"
    port: Port | None = None
    """First port; a deployment of several servers takes the following ones."""
    urls: dict[Name, str] = {}
    """Only ``external``: base URL of each model."""
    slots: Annotated[int, Field(ge=1, le=4096)] = 1
    """Requests that one model serves at a time (llama.cpp ``-np``, ``--max-num-seqs``, ``OLLAMA_NUM_PARALLEL``)."""
    context: Annotated[int, Field(ge=128)] = 1024
    """Tokens of context of each slot."""
    threads: Annotated[int, Field(ge=1)] | None = None
    memory_share: dict[Name, Annotated[float, Field(gt=0, le=1)]] = {}
    """Share of the accelerator's memory that each model's server may take."""
    kv_type: Literal["f16", "bf16", "f32", "q8_0", "fp8", "auto"] = "auto"
    weights: str | None = None
    """Type the weights have in this engine's memory when it is not the model's own (e.g. ``BF16`` after dequantising)."""
    prefix_cache: bool = False
    router: bool = False
    """llama.cpp only: one server that loads models on demand."""
    max_loaded: Annotated[int, Field(ge=1)] | None = None
    """Models held in memory at once, where the engine loads on demand."""
    options: dict[str, Scalar] = {}
    """Further options of the engine's command line, by name without dashes."""
    model_options: dict[Name, dict[str, Scalar]] = {}
    """Options of one model's own server, over ``options``."""
    environment: dict[str, str] = {}
    """Further environment variables of the server; never a key or a token."""


class Workload(Strict):
    """How requests arrive and what they ask."""

    concurrency: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Closed loop: users that each wait for their answer."""
    rate: Annotated[float, Field(gt=0)] | None = None
    """Open loop: requests per second."""
    arrivals: Literal["constant", "poisson", "replay"] = "poisson"
    replay: str | None = None
    """File of recorded arrival offsets in seconds, one a line (``arrivals: replay``)."""
    ramp_s: Annotated[float, Field(ge=0)] = 0
    """Seconds at the start that are sent but not measured."""
    requests: Annotated[int, Field(ge=1, le=1_000_000)]
    max_tokens: Annotated[int, Field(ge=1, le=65536)]
    input_tokens: Annotated[int, Field(ge=1)] | None = None
    """Synthetic prompts of about this many tokens instead of the prompt set."""
    prompts: str | None = None
    """JSONL file of prompts instead of the prompt set."""
    kinds: tuple[str, ...] = ()
    """Kinds of prompts to draw from; empty means all."""
    lengths: tuple[Literal["short", "long"], ...] = ("short",)
    together: bool = False
    """All models of the deployment under this load at the same time: one point for each model, in one window.

    A deployment of one model leaves the load out."""
    measure_cache: bool = False
    """Leave the nonce out so that prefix caches may hit, on purpose."""
    connection: Literal["fresh", "pooled"] = "fresh"
    deadline_s: Annotated[float, Field(gt=0, le=3600)] = 120

    @model_validator(mode="after")
    def _one_kind_of_load(self) -> Workload:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError("needs either concurrency (closed loop) or rate (open loop), not both")
        if (self.arrivals == "replay") != (self.replay is not None):
            raise ValueError("arrivals: replay and a replay file go together")
        return self


class Slo(Strict):
    """Service level objective: limits that a request must keep, and the share of requests that must keep them."""

    ttft_ms: Annotated[float, Field(gt=0)] | None = None
    tpot_ms: Annotated[float, Field(gt=0)] | None = None
    e2e_ms: Annotated[float, Field(gt=0)] | None = None
    attainment: Annotated[float, Field(gt=0, le=1)] = 0.9


class Limits(Strict):
    """When a cell is not valid."""

    client_lag_ms: Annotated[float, Field(gt=0)] = 5.0
    send_lag_ms: Annotated[float, Field(gt=0)] = 10.0
    error_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    drift: Annotated[float, Field(gt=0)] = 0.04


class UseCase(Strict):
    """One recommendation: a rule over facts."""

    slo: str | None = None
    """Name of the objective in ``slos`` that a deployment must keep to be considered."""
    weights: Annotated[dict[str, Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """Metric to weight; the deployment with the best weighted geometric mean of ratios is recommended where intervals allow."""
    workload: Name | None = None
    """Load that it is judged under; all of them without one."""
    models: tuple[Name, ...] = ()
    """Models that a deployment must serve and is judged by; empty means all of the study."""
    together: bool = False
    """Judged under the loads on all models together, unless ``workload`` names one."""


class Study(Strict):
    """One file of ``config/studies/``; its name is in every path that it produces."""

    name: Name
    question: dict[Language, str]
    """The question that the study answers, in each report language."""
    seed: Annotated[int, Field(ge=0)]
    replicates: Annotated[int, Field(ge=1, le=99)]
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    deployments: Annotated[dict[Name, Deployment], Field(min_length=1)]
    workloads: Annotated[dict[Name, Workload], Field(min_length=1)]
    warmup_requests: Annotated[int, Field(ge=1, le=1000)] = 12
    """Most requests of each model before measuring; fewer where the steady state comes sooner."""
    loading: tuple[Name, ...] = ()
    """Deployments that load models on demand and are timed doing it: cold, warm, in turn, and the memory that comes back."""
    loading_rounds: Annotated[int, Field(ge=2, le=100)] = 5
    slos: dict[Name, Slo] = {}
    use_cases: dict[str, UseCase] = {}
    usd_per_hour: Annotated[float, Field(gt=0)] | None = None
    claims: str | None = None
    """Name of a file in ``config/claims/`` to set beside the measurement."""
    limits: Limits = Limits()
    skip_unavailable: bool = False
    """Leave out what this machine cannot run, with a line in the report, instead of refusing the study."""
    left_out: dict[Name, str] = {}
    """Deployments that were left out and why; found on the measuring machine, never written by hand."""
    hardware: Literal["cpu", "gpu"] = "cpu"
    recorded: str | None = None
    """Folder of recorded runs to start from instead of measuring."""
