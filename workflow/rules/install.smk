rule install_engine:
    """An engine's own environment, from its lock, in the cache; the receipt says what it is."""
    input:
        locks,
    output:
        "results/{study}/engines/{engine}-{version}.json",
    log:
        "logs/{study}/install/{engine}-{version}.log",
    priority: 3_000_000
    params:
        code=code(
            "commands/install_engine",
            "serving",
            "telemetry/processes",
            "telemetry/processors",
            "telemetry/prometheus",
            "load/payload",
            "engines/base",
            "engines/{engine}",
        ),
    shell:
        "exec python -m serving_study install-engine {wildcards.engine} {wildcards.version} --out {output} --log {log}"


rule prepare_model:
    """A model's files by hash, in the form that the study's engines load, in the cache."""
    output:
        "results/{study}/models/{model}.json",
    log:
        "logs/{study}/models/{model}.log",
    priority: 3_000_000
    params:
        plan=plan(plans.model_plan, "model"),
        code=code(
            "commands/prepare_model",
            "serving/models",
            "serving/hub",
            "serving/cache",
            "serving/environment",
            "serving/flock",
            "serving/interrupts",
            "serving/convert",
            "engines/base",
        ),
    shell:
        "exec python -m serving_study prepare-model {params.plan:q} --out {output} --log {log}"
