"""Targets of the study; the rules stand in workflow/rules/, one file a stage."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


container: "docker://python:3.11-slim"


include: "workflow/rules/study.smk"


if MEASURE != "never":

    include: "workflow/rules/install.smk"
    include: "workflow/rules/deploy.smk"
    include: "workflow/rules/warmup.smk"
    include: "workflow/rules/benchmark.smk"
    include: "workflow/rules/memory.smk"
    include: "workflow/rules/loading.smk"


include: "workflow/rules/derive.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/verify.smk"
include: "workflow/rules/publish.smk"


rule report:
    """The report of the configured study, in both languages."""
    default_target: True
    input:
        expand("reports/{study}/trace.json", study=config["study"]),
        expand("results/{study}/receipt.json", study=config["study"]),


rule publish:
    """The configured study as one zip, and the static site of all studies published here."""
    input:
        expand("publish/{study}.zip", study=config["study"]),
