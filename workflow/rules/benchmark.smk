rule benchmark:
    """One cell: one life of a deployment, one language, every model and workload."""
    input:
        deploy="results/{study}/deployments/{deployment}/deploy.json",
        warmup="results/{study}/deployments/{deployment}/warmup.json",
        warmup_prompts="config/prompts/warmup.jsonl",
        prompts=prompt_files,
    output:
        requests="results/{study}/cells/{deployment}/{language}/r{replicate}/requests.parquet",
        chunks="results/{study}/cells/{deployment}/{language}/r{replicate}/chunks.parquet",
        telemetry="results/{study}/cells/{deployment}/{language}/r{replicate}/telemetry.parquet",
        cell="results/{study}/cells/{deployment}/{language}/r{replicate}/cell.json",
    log:
        "logs/{study}/benchmark/{deployment}-{language}-r{replicate}.log",
    priority: block_priority
    threads: workflow.cores
    resources:
        device=1,
    params:
        plan=plan(plans.cell_plan, "deployment", "language", "replicate"),
        code=code(
            "commands/benchmark",
            "load",
            "serving",
            "telemetry",
            "study/prompts",
            "study/cells",
            "engines/base",
            "engines/{engine}",
        ),
    shell:
        "exec python -m serving_study benchmark {params.plan:q} --code {params.code} --warmup {input.warmup}"
        " --warmup-prompts {input.warmup_prompts} --prompts {input.prompts} --cell {output.cell} --log {log}"
