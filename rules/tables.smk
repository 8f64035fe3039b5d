# What was found, in tables and figures.

MEASUREMENTS = {
    "evaluations": expand(rules.evaluate.output, model=config["models"]),
    "histories": expand(rules.select_best.output.history, search=config["searches"]),
    "best": expand(rules.select_best.output.best, search=config["searches"]),
    "rows": [rules.evaluate_rows.output.evaluations] if config["searches"] else [],
}


rule tables:
    input:
        **MEASUREMENTS,
        timings=of_every_training(rules.retrain.output.timing),
        supernet=[rules.pretrain_supernet.output.timing] if config["supernet"]["enabled"] else [],
        candidates=expand(rules.select_best.output.timing, search=config["searches"]),
        row_timing=[rules.evaluate_rows.output.timing] if config["searches"] else [],
    output:
        report(
            f"{RESULTS}/tables/results.md",
            caption="report/results.rst",
            category="Results",
            labels={"what": "results"},
        ),
        f"{RESULTS}/tables/results.csv",
        f"{RESULTS}/tables/results.tex",
        report(f"{RESULTS}/tables/timing.md", caption="report/timing.rst", category="Time", labels={"what": "time"}),
        f"{RESULTS}/tables/timing.csv",
        f"{RESULTS}/tables/balance.csv",
        report(
            f"{RESULTS}/tables/proxy.md", caption="report/proxy_table.rst", category="Proxy", labels={"what": "proxy"}
        ),
        f"{RESULTS}/tables/proxy.csv",
    log:
        f"{RESULTS}/logs/tables.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        measurements=measurement_flags(),
        supernet=lambda wildcards, input: optional_flag("--supernet-timing", input.supernet),
        rows=lambda wildcards, input: optional_flag("--row-scores", input.rows),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m pipeline tables {params.measurements} --evaluations {input.evaluations:q} --scores {input.histories:q}"
        " --best {input.best:q} --timings {input.timings:q} {params.supernet} {params.rows}"
        " --candidate-timings {input.candidates:q} {input.row_timing:q} --output-folder {params.folder:q} > {log:q} 2>&1"


rule figures:
    input:
        **MEASUREMENTS,
        curves=of_every_training(rules.retrain.output.history),
        supernet=[rules.pretrain_supernet.output.history] if config["supernet"]["enabled"] else [],
    output:
        [
            report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"report/{name}.rst",
                category="Figures",
                labels={"what": name},
            )
            for name in FIGURES
        ],
        expand(f"{RESULTS}/figures/{{name}}.svg", name=FIGURES),
    log:
        f"{RESULTS}/logs/figures.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        measurements=measurement_flags(),
        supernet=lambda wildcards, input: optional_flag("--supernet-history", input.supernet),
        rows=lambda wildcards, input: optional_flag("--row-scores", input.rows),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m pipeline figures {params.measurements} --evaluations {input.evaluations:q} --scores {input.histories:q}"
        " --best {input.best:q} --histories {input.curves:q} {params.supernet} {params.rows}"
        " --output-folder {params.folder:q} > {log:q} 2>&1"
