rule deploy:
    """Start it once for real: versions, argv, settings that ran, hardware, start-up time, idle memory."""
    input:
        receipts,
    output:
        "results/{study}/deployments/{deployment}/deploy.json",
    log:
        "logs/{study}/deploy/{deployment}.log",
    priority: 2_000_000
    threads: workflow.cores
    resources:
        device=1,
    params:
        plan=plan(plans.deployment_plan, "deployment"),
        code=code(
            "commands/deploy",
            "serving",
            "telemetry",
            "load/clock",
            "load/payload",
            "load/raw",
            "load/record",
            "engines/base",
            "engines/{engine}",
        ),
    shell:
        "exec python -m serving_study deploy {params.plan:q} --code {params.code} --out {output} --log {log}"
