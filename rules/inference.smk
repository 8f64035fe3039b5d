# The packed network of every row, and how long it takes to answer here.


# Alone, after everything else: other jobs would take the processor from what is timed. New tables alone change no time.
# As plain paths: Snakemake's ancient() marks what it is given, and so would the tables' own paths, for all rules.
rule measure_inference:
    input:
        weights=[layout.training(model, files.seeds[0]).weights for model in config["models"]],
        evaluations=[layout.measurement(model, files.seeds[0]) for model in config["models"]],
        images=rules.prepare_dataset.output.test,
        tables=ancient(list(map(str, rules.tables.output))),
        figures=ancient(list(map(str, rules.figures.output))),
    output:
        table=report(
            layout.tables.inference, caption="report/inference.rst", category="Inference", labels={"what": "inference"}
        ),
        csv=layout.tables.inference_csv,
        packed=[layout.packed(model) for model in config["models"]],
    log:
        layout.log("measure_inference"),
    conda:
        "../envs/pipeline.yaml"
    threads: config["inference"]["threads"]
    resources:
        mem_mb=machine.memory(4000),
        cpus_per_task=config["inference"]["threads"],
    params:
        **flags.network_source(),
        networks=lambda wildcards, input: labelled("--networks", config["models"], input.weights),
        evaluations=lambda wildcards, input: labelled("--evaluations", config["models"], input.evaluations),
        packed=lambda wildcards, output: labelled("--packed", config["models"], output.packed),
        threads=config["inference"]["threads"],
        method=flags.method,
    shell:
        "python -m pipeline measure-inference {params.networks} {params.packed} --threads {params.threads}"
        " {params.evaluations} --images {input.images:q}"
        " --table {output.table:q} --output {output.csv:q} > {log:q} 2>&1"
