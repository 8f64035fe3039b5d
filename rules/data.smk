# Images: prepared once, then divided into what the search learns from and what it is scored on.


rule prepare_dataset:
    output:
        train=f"{RESULTS}/data/train.h5",
        test=f"{RESULTS}/data/test.h5",
    log:
        f"{RESULTS}/logs/prepare_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_dataset.tsv"
    priority: 100
    conda:
        "../envs/pipeline.yaml"
    # Worth it for large photographs; it changes no byte of the result.
    threads: 4
    resources:
        mem_mb=memory(4000),
    params:
        flags=dataset_flags(),
    shell:
        "python -m pipeline prepare-dataset {params.flags} --threads {threads} --train {output.train:q} --test {output.test:q} > {log:q} 2>&1"


rule sample_subset:
    input:
        images=rules.prepare_dataset.output.train,
    output:
        subset=f"{RESULTS}/splits/subset.csv",
        validation=f"{RESULTS}/splits/validation.csv",
    log:
        f"{RESULTS}/logs/sample_subset.log",
    priority: 100
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        flags=split_flags(),
    shell:
        "python -m pipeline sample-subset --images {input.images:q} {params.flags}"
        " --subset {output.subset:q} --validation {output.validation:q} > {log:q} 2>&1"
