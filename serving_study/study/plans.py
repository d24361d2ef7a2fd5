"""What a job is told: each rule's own part of the study, as one line of JSON.

A plan is a parameter of its rule, so that a change of the study re-runs just the jobs whose plan changed.
"""

from __future__ import annotations

from serving_study.study.types import Deployment, Limits, Model, Slo, Strict, Study, Workload


class ModelPlan(Strict):
    """Make one model ready for the engines that load it."""

    model: str
    spec: Model
    engines: tuple[str, ...]
    """Engines that load it: each says which forms it takes."""


class DeploymentPlan(Strict):
    """Start one deployment."""

    study: str
    seed: int
    name: str
    deployment: Deployment
    models: dict[str, Model]


class WarmupPlan(DeploymentPlan):
    """Find how many requests each model needs until it is steady."""

    warmup_requests: int


class MemoryPlan(DeploymentPlan):
    """Read the memory of a deployment idle and under each load."""

    workloads: dict[str, Workload]


class LoadingPlan(DeploymentPlan):
    """Time loading on demand."""

    rounds: int


class CellPlan(DeploymentPlan):
    """Measure one cell: one life of a deployment, one language."""

    language: str
    replicate: int
    workloads: dict[str, Workload]


class DerivePlan(Strict):
    """Judge what was measured: objectives and limits change no measurement."""

    slos: dict[str, Slo]
    limits: Limits


def deployment_plan(study: Study, name: str) -> DeploymentPlan:
    """The part of ``study`` that starting ``name`` depends on."""
    return DeploymentPlan(**_deployment(study, name))


def warmup_plan(study: Study, name: str) -> WarmupPlan:
    """The part that its warm-up depends on."""
    return WarmupPlan(**_deployment(study, name), warmup_requests=study.warmup_requests)


def memory_plan(study: Study, name: str) -> MemoryPlan:
    """The part that its memory profile depends on."""
    return MemoryPlan(**_deployment(study, name), workloads=study.workloads)


def loading_plan(study: Study, name: str) -> LoadingPlan:
    """The part that timing its loading depends on."""
    return LoadingPlan(**_deployment(study, name), rounds=study.loading_rounds)


def cell_plan(study: Study, name: str, language: str, replicate: int) -> CellPlan:
    """The part that one cell depends on."""
    return CellPlan(
        **_deployment(study, name),
        language=language,
        replicate=replicate,
        workloads=study.workloads,
    )


def derive_plan(study: Study) -> DerivePlan:
    """The part that judging a cell depends on."""
    return DerivePlan(slos=study.slos, limits=study.limits)


def model_plan(study: Study, name: str) -> ModelPlan:
    """The part that preparing a model depends on."""
    engines = sorted({d.engine for d in study.deployments.values() if name in d.models and d.runs_as != "external"})
    return ModelPlan(model=name, spec=study.models[name], engines=tuple(engines))


def study_plan(study: Study) -> Study:
    """All of it: what the tables and the report depend on."""
    return study


def _deployment(study: Study, name: str) -> dict:  # type: ignore[type-arg]
    deployment = study.deployments[name]
    return {
        "study": study.name,
        "seed": study.seed,
        "name": name,
        "deployment": deployment,
        "models": {m: study.models[m] for m in deployment.models},
    }
