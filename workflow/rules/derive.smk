rule derive:
    """Raw bytes to one row a request, and to one row a point and metric."""
    input:
        cell=raw("cells/{deployment}/{language}/r{replicate}/cell.json"),
        requests=raw("cells/{deployment}/{language}/r{replicate}/requests.parquet"),
        chunks=raw("cells/{deployment}/{language}/r{replicate}/chunks.parquet"),
        telemetry=raw("cells/{deployment}/{language}/r{replicate}/telemetry.parquet"),
    output:
        metrics="results/{study}/cells/{deployment}/{language}/r{replicate}/metrics.parquet",
        points="results/{study}/cells/{deployment}/{language}/r{replicate}/points.parquet",
    log:
        "logs/{study}/derive/{deployment}-{language}-r{replicate}.log",
    params:
        plan=plan(plans.derive_plan),
        code=code("commands/derive", "metrics", "load/raw", "load/record"),
    shell:
        "exec python -m serving_study derive {params.plan:q} --cell {input.cell}"
        " --metrics {output.metrics} --points {output.points} --log {log}"
