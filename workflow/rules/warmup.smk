rule warmup:
    """How many requests each model needs until it is steady, by measuring."""
    input:
        deploy="results/{study}/deployments/{deployment}/deploy.json",
        prompts="config/prompts/warmup.jsonl",
    output:
        "results/{study}/deployments/{deployment}/warmup.json",
    log:
        "logs/{study}/warmup/{deployment}.log",
    priority: 2_000_000
    threads: workflow.cores
    resources:
        device=1,
    params:
        plan=plan(plans.warmup_plan, "deployment"),
        code=code(
            "commands/warmup",
            "load",
            "serving",
            "telemetry",
            "study/prompts",
            "engines/base",
            "engines/{engine}",
        ),
    shell:
        "exec python -m serving_study warmup {params.plan:q} --code {params.code} --prompts {input.prompts} --out {output} --log {log}"
