"""What this machine can run of a study."""

from __future__ import annotations

from pathlib import Path

from serving_study import engines
from serving_study.study.errors import StudyError
from serving_study.study.recorded import without
from serving_study.study.types import Study


def unavailable(study: Study) -> dict[str, str]:
    """Deployments of a study that this machine cannot run, each with the reason."""
    reasons = {name: engines.load(d.engine).unavailable(d) for name, d in study.deployments.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def runnable(study: Study, path: Path) -> Study:
    """The study as this machine runs it: whole, or less what it cannot run where the study says that it may be left out.

    Raises StudyError naming the deployments and what this machine lacks.
    """
    missing = unavailable(study)
    if missing and not study.skip_unavailable:
        reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
        raise StudyError(
            f"{path}: this machine cannot run {reasons}. Next: leave these out, or let skip_unavailable: true do it"
        )
    return without(study, missing) if missing else study
