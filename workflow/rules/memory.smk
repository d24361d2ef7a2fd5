rule profile_memory:
    """Memory of the process tree: before start, idle, under each load, peak, after stop."""
    input:
        deploy="results/{study}/deployments/{deployment}/deploy.json",
        warmup="results/{study}/deployments/{deployment}/warmup.json",
        prompts="config/prompts/warmup.jsonl",
    output:
        "results/{study}/deployments/{deployment}/memory.parquet",
    log:
        "logs/{study}/memory/{deployment}.log",
    threads: workflow.cores
    resources:
        device=1,
    params:
        plan=plan(plans.memory_plan, "deployment"),
        code=code(
            "commands/profile_memory",
            "load",
            "serving",
            "telemetry",
            "study/prompts",
            "study/cells",
            "engines/base",
            "engines/{engine}",
        ),
    shell:
        "exec python -m serving_study profile-memory {params.plan:q} --code {params.code}"
        " --prompts {input.prompts} --out {output} --log {log}"
