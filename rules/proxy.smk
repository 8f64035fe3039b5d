# What the proxy is worth: every row of the table scored as a candidate, beside its accuracy when trained in full.


rule gather_rows:
    input:
        images=rules.prepare_dataset.output.train,
        best=files.genomes_of_rows(),
    output:
        layout.rows.population,
    log:
        layout.log("proxy", "gather_rows"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        genomes=flags.row_genomes(),
        best=lambda wildcards, input: optional_flag("--best", input.best),
        network=flags.counted_network(),
        ratios=flags.ratios(),
        method=flags.counting_method,
    shell:
        "python -m pipeline gather-rows --images {input.images:q} {params.genomes} {params.best}"
        " {params.ratios} {params.network} --output {output:q} > {log:q} 2>&1"


use rule evaluate_generation as evaluate_rows with:
    input:
        population=rules.gather_rows.output[0],
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.sample_subset.output.validation,
        supernet=files.supernet(),
    output:
        evaluations=layout.rows.evaluations,
        timing=layout.rows.timing,
    log:
        layout.log("proxy", "evaluate_rows"),
    benchmark:
        layout.benchmark("proxy", "evaluate_rows")
    params:
        shard="",
        title=lambda wildcards, output: "--title rows",
