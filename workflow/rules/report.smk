rule plot:
    """The figures in both languages."""
    input:
        tables="results/{study}/tables.json",
        facts="results/{study}/facts.json",
        metrics=every(
            "results/{study}/cells/{deployment}/{language}/r{replicate}/metrics.parquet"
        ),
        font=tree("serving_study/report/fonts"),
        catalogs=tree("serving_study/report/catalogs"),
    output:
        figures=directory("results/{study}/figures"),
        manifest="results/{study}/figures.json",
    log:
        "logs/{study}/plot.log",
    params:
        code=code(
            "commands/plot",
            "report/plots",
            "report/fonts",
            "report/catalogs",
            "report/facts",
            "report/words",
        ),
    shell:
        "exec python -m serving_study plot --tables results/{wildcards.study}/tables --facts {input.facts}"
        " --metrics {input.metrics} --out {output.figures} --manifest {output.manifest} --log {log}"


rule render:
    """The report: Markdown in both languages, one HTML file, and the trace of every number."""
    input:
        facts="results/{study}/facts.json",
        figures="results/{study}/figures.json",
        cells=every("{raw}/cells/{deployment}/{language}/r{replicate}/cell.json"),
        deploys=every("{raw}/deployments/{deployment}/deploy.json"),
        templates=tree("serving_study/report/templates"),
        font=tree("serving_study/report/fonts"),
        catalogs=tree("serving_study/report/catalogs"),
    output:
        reports=multiext(
            "reports/{study}/report", ".md", ".en.md", ".ko.md", ".html", ".json"
        ),
        trace="reports/{study}/trace.json",
        figures=directory("reports/{study}/figures"),
        receipt="results/{study}/receipt.json",
    log:
        "logs/{study}/render.log",
    params:
        code=code("commands/render", "report"),
    shell:
        "exec python -m serving_study render --facts {input.facts} --figures results/{wildcards.study}/figures"
        " --cells {input.cells} --deploys {input.deploys}"
        " --out $(dirname {output.trace}) --receipt {output.receipt} --log {log}"
