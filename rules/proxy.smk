# What the proxy is worth: every row of the table scored as a candidate, beside its accuracy when trained in full.


rule gather_rows:
    input:
        images=rules.prepare_dataset.output.train,
        best=expand(rules.select_best.output.best, search=searches_of_rows()),
    output:
        f"{RESULTS}/proxy/population.csv",
    log:
        f"{RESULTS}/logs/proxy/gather_rows.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        genomes=row_genome_flags(),
        best=lambda wildcards, input: optional_flag("--best", input.best),
        network=network_flags(),
        ratios=ratio_flags(),
        method=METHOD,
    shell:
        "python -m pipeline gather-rows --images {input.images:q} {params.genomes} {params.best}"
        " {params.ratios} {params.network} --output {output:q} > {log:q} 2>&1"


use rule evaluate_generation as evaluate_rows with:
    input:
        population=rules.gather_rows.output[0],
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.sample_subset.output.validation,
        supernet=supernet_input(),
    output:
        evaluations=f"{RESULTS}/proxy/evaluations.csv",
        timing=f"{RESULTS}/proxy/timing.csv",
    log:
        f"{RESULTS}/logs/proxy/evaluate_rows.log",
    benchmark:
        f"{RESULTS}/benchmarks/proxy/evaluate_rows.tsv"
    params:
        shard="",
