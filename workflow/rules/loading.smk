rule profile_loading:
    """Loading on demand: first token cold, warm and in turn, unloading, and the memory that comes back."""
    input:
        deploy="results/{study}/deployments/{deployment}/deploy.json",
    output:
        "results/{study}/deployments/{deployment}/loading.json",
    log:
        "logs/{study}/loading/{deployment}.log",
    threads: workflow.cores
    resources:
        device=1,
    params:
        plan=plan(plans.loading_plan, "deployment"),
        code=code(
            "commands/profile_loading",
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
        "exec python -m serving_study profile-loading {params.plan:q} --code {params.code} --out {output} --log {log}"
