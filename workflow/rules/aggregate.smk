rule aggregate:
    """Every cell into the tables of the study, as Parquet and CSV."""
    input:
        points=every(
            "results/{study}/cells/{deployment}/{language}/r{replicate}/points.parquet"
        ),
        metrics=every(
            "results/{study}/cells/{deployment}/{language}/r{replicate}/metrics.parquet"
        ),
        cells=every("{raw}/cells/{deployment}/{language}/r{replicate}/cell.json"),
        deploys=every("{raw}/deployments/{deployment}/deploy.json"),
        warmups=every("{raw}/deployments/{deployment}/warmup.json"),
        memory=every("{raw}/deployments/{deployment}/memory.parquet"),
        loading=loadings,
        claims=claims_file,
    output:
        tables=directory("results/{study}/tables"),
        manifest="results/{study}/tables.json",
    log:
        "logs/{study}/aggregate.log",
    params:
        plan=plan(plans.study_plan),
        code=code(
            "commands/aggregate",
            "analysis",
            "metrics",
            "load/raw",
            "load/record",
            "study/prompts",
        ),
    shell:
        "exec python -m serving_study aggregate {params.plan:q} --points {input.points} --metrics {input.metrics}"
        " --cells {input.cells} --deploys {input.deploys} --warmups {input.warmups} --memory {input.memory}"
        " --loading {input.loading} --claims {input.claims} --out {output.tables} --manifest {output.manifest} --log {log}"


rule facts:
    """Every number and verdict of the report, each with its row."""
    input:
        "results/{study}/tables.json",
    output:
        "results/{study}/facts.json",
    log:
        "logs/{study}/facts.log",
    params:
        plan=plan(plans.study_plan),
        code=code("commands/facts", "analysis", "metrics", "load/record"),
    shell:
        "exec python -m serving_study facts {params.plan:q} --tables results/{wildcards.study}/tables --out {output} --log {log}"
