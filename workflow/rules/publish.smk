rule pack:
    """One zip of a study, an RO-Crate, and its part of the static site."""
    input:
        every("{raw}/cells/{deployment}/{language}/r{replicate}/cell.json"),
        trace="reports/{study}/trace.json",
        receipt="results/{study}/receipt.json",
    output:
        zip="publish/{study}.zip",
        site=directory("publish/site/{study}"),
    log:
        "logs/{study}/publish.log",
    params:
        study=plan(plans.study_plan),
        code=code(
            "commands/publish",
            "report/catalogs",
            "report/crate",
            "report/fonts",
            "report/publish",
            "report/site",
            "study/cells",
            "study/file",
            "study/recorded",
            "engines/base",
        ),
    shell:
        "exec python -m serving_study publish {wildcards.study} --out publish --log {log}"
