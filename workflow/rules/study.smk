"""What the rules ask of the study: its cells, its plans, its code. No rule stands here."""

import glob
import os
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.utils import validate

from serving_study import engines
from serving_study.available import runnable
from serving_study.checkout import take_over
from serving_study.serving.interrupts import pass_on_to_jobs
from serving_study.load.progress import announce
from serving_study.study import cells, plans
from serving_study.study.code import digest
from serving_study.study.errors import StudyError
from serving_study.study.file import read
from serving_study.study.recorded import check_recorded, recorded_left_out, without

# jobs run this very interpreter; a prefix is no part of a rule's tracked code
shell.prefix(f'export PATH="{os.path.dirname(sys.executable)}:$PATH"; ')


# Its limit of jobs a second has Snakemake look at every waiting job again each second, and once more for each job that
# has ended: toward the end of a long study a quarter of two processors, while others are measured on them.
if workflow.scheduling_settings:
    workflow.scheduling_settings.max_jobs_per_timespan = None


onstart:
    pass_on_to_jobs()


wildcard_constraints:
    study=r"[a-z0-9][a-z0-9.-]*",
    engine=r"[a-z]+",
    version=r"[A-Za-z0-9.+]+",
    model=r"[a-z0-9][a-z0-9.-]*",
    deployment=r"[a-z0-9][a-z0-9.-]*",
    language=r"[a-z]{2}",
    replicate=r"\d\d",


# the command line gives text where the file gives a truth value
MEASURE = str(config["measure"]).lower()
if MEASURE not in ("true", "false", "never"):
    raise WorkflowError(
        f"config/config.yaml: measure = {config['measure']!r}: must be true, false or never"
    )

# verify leaves recorded runs aside where it is told that the study was measured anew
RECORDED = MEASURE != "true" and str(config.get("recorded", True)).lower() != "false"


@cache
def study(name):
    path = Path("config/studies") / f"{name}.yaml"
    try:
        found = read(path, engines.checks())
        schema = Path(workflow.basedir) / "workflow/schemas/study.schema.json"
        validate(yaml.safe_load(path.read_text()), str(schema), False)
        if found.recorded and RECORDED:
            found = without(found, recorded_left_out(found.recorded))
            check_recorded(found, path)
        elif MEASURE != "never" or found.skip_unavailable:
            found = runnable(found, path)
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    return found


def raw_root(w):
    """Where measured files stand: recorded runs, or this checkout's own results."""
    recorded = study(w.study).recorded if RECORDED else None
    return recorded or f"results/{w.study}"


def raw(path):
    """A measured file of the job's own cell or deployment."""
    return lambda w: f"{raw_root(w)}/{path.format(**w)}"


def every(path):
    """``path`` for every cell of the study, each file once; ``{raw}`` is where measured files stand."""
    return lambda w: list(
        dict.fromkeys(
            path.format(
                study=w.study,
                raw=raw_root(w),
                deployment=c.deployment,
                language=c.language,
                replicate=f"{c.replicate:02d}",
            )
            for c in cells.cells(study(w.study))
        )
    )


def loadings(w):
    """What timing the loading on demand left, of the deployments that the study names for it."""
    return [
        f"{raw_root(w)}/deployments/{d}/loading.json" for d in study(w.study).loading
    ]


def receipts(w):
    """What must be installed before a deployment starts: a process's engine, and models that are served here."""
    d = study(w.study).deployments[w.deployment]
    engine = (
        [f"results/{w.study}/engines/{d.engine}-{d.version}.json"]
        if d.runs_as == "process"
        else []
    )
    models = (
        []
        if d.runs_as == "external"
        else [f"results/{w.study}/models/{m}.json" for m in d.models]
    )
    return [*engine, *models]


def locks(w):
    """What pins an engine: its requirements with hashes, or the modules that it is built from."""
    return sorted(
        str(f) for f in Path("workflow/envs").glob(f"*-{glob.escape(w.version)}.*")
    )


def prompt_files(w):
    """The prompt set of the job's language and every file that a workload names."""
    used = study(w.study).workloads.values()
    named = {f for work in used for f in (work.prompts, work.replay) if f}
    return [f"config/prompts/{w.language}.jsonl", *sorted(named)]


def claims_file(w):
    """The published claims that the study is set beside, if it names any."""
    claims = study(w.study).claims
    return [f"config/claims/{claims}.yaml"] if claims else []


def tree(folder):
    """Every file below a folder of the source; what Python means stands in a rule's digest of code."""
    return sorted(
        str(f)
        for f in Path(folder).rglob("*")
        if f.is_file() and f.suffix not in (".py", ".pyc")
    )


def code(*stages):
    """Digest of the source of the rule's stages; ``{engine}`` is the job's own engine."""

    def of(w):
        s = study(w.study)
        engine = w.get("engine") or (
            s.deployments[w.deployment].engine if "deployment" in w.keys() else ""
        )
        return digest(*(stage.format(engine=engine) for stage in stages))

    return of


def plan(make, *names):
    """The rule's own part of the study as JSON; ``names`` are the wildcards that it depends on."""
    return lambda w: make(
        study(w.study), *(int(w[n]) if n == "replicate" else w[n] for n in names)
    ).model_dump_json()


def block_priority(w):
    return cells.priority(
        study(w.study), cells.Cell(w.deployment, w.language, int(w.replicate))
    )


# how far the study is, for progress lines: no parameter of any rule, so that it invalidates nothing
announce(
    len(cells.cells(study(config["study"]))), Path("results", config["study"], "cells")
)

# a run that was killed leaves Snakemake's lock behind
take_over()
