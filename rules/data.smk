# Images: prepared once, then divided into what the search learns from and what it is scored on.


rule prepare_dataset:
    output:
        train=layout.train,
        test=layout.test,
    log:
        layout.log("prepare_dataset"),
    benchmark:
        layout.benchmark("prepare_dataset")
    priority: 100
    conda:
        "../envs/pipeline.yaml"
    # Worth it for large photographs; it changes no byte of the result.
    threads: 4
    resources:
        mem_mb=machine.memory(4000),
    params:
        **flags.dataset_source(),
        # A function, since Snakemake takes braces in a text, such as a folder's name, for wildcards.
        flags=lambda wildcards: flags.dataset(),
    shell:
        "python -m pipeline prepare-dataset {params.flags} --threads {threads} --train {output.train:q} --test {output.test:q} > {log:q} 2>&1"


rule sample_subset:
    input:
        images=rules.prepare_dataset.output.train,
    output:
        subset=layout.subset,
        validation=layout.validation,
    log:
        layout.log("sample_subset"),
    priority: 100
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        flags=flags.split(),
    shell:
        "python -m pipeline sample-subset --images {input.images:q} {params.flags}"
        " --subset {output.subset:q} --validation {output.validation:q} > {log:q} 2>&1"


# The images on which finalists and the proxy are judged; the search's own stay what they are without them.
rule hold_out:
    input:
        images=rules.prepare_dataset.output.train,
    output:
        held_out=layout.held_out,
        others=layout.not_held_out,
    log:
        layout.log("hold_out"),
    priority: 100
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        flags=flags.split(with_held_out=True),
    shell:
        "python -m pipeline hold-out --images {input.images:q} {params.flags}"
        " --held-out {output.held_out:q} --not-held-out {output.others:q} > {log:q} 2>&1"
