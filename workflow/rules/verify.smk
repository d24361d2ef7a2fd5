rule verify:
    """Derive and render again from the raw files alone and compare bytes; repairs nothing."""
    log:
        f"logs/{config['study']}/verify.log",
    params:
        study=config["study"],
        measured="--measured" if MEASURE == "true" else "",
    shell:
        "exec python -m serving_study verify {params.study} {params.measured} --log {log}"
