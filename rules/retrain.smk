# Training of every row of the table in full, with several seeds, and its score on the test set.


rule retrain:
    input:
        images=rules.prepare_dataset.output.train,
        best=found_genome,
    output:
        weights=f"{RESULTS}/retrain/{{model}}/seed_{{seed}}/weights.h5",
        history=f"{RESULTS}/retrain/{{model}}/seed_{{seed}}/history.csv",
        timing=f"{RESULTS}/retrain/{{model}}/seed_{{seed}}/timing.json",
    log:
        f"{RESULTS}/logs/retrain/{{model}}_{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/retrain/{{model}}_{{seed}}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: PROCESSES * config["execution"]["threads"]
    resources:
        mem_mb=memory(8000 * PROCESSES),
        cpus_per_task=cpus,
        gpu=gpus(PROCESSES),
    params:
        genome=lambda wildcards: genome_flags(wildcards.model),
        best=lambda wildcards, input: optional_flag("--best", input.best),
        network=network_flags(),
        training=training_flags("retrain"),
        execution=shared_execution_flags(),
        seed=config["seed"],
        method=METHOD,
    shell:
        f"{shared_python()} -m pipeline retrain"
        " --images {input.images:q} {params.genome} {params.best}"
        " --seed {params.seed} --repetition {wildcards.seed} {params.network} {params.training} {params.execution}"
        f" {run_flags()} {keeping_flags()}"
        " --weights {output.weights:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"


# The only rule that has the test set among its inputs. One job for all seeds of a row: it takes seconds.
rule evaluate:
    input:
        weights=expand(rules.retrain.output.weights, seed=SEEDS, allow_missing=True),
        images=rules.prepare_dataset.output.test,
    output:
        expand(f"{RESULTS}/evaluation/{{model}}/seed_{{seed}}.json", seed=SEEDS, allow_missing=True),
    log:
        f"{RESULTS}/logs/evaluate/{{model}}.log",
    conda:
        "../envs/pipeline.yaml"
    threads: config["execution"]["threads"]
    resources:
        mem_mb=memory(8000),
        cpus_per_task=cpus,
        gpu=gpus(),
    params:
        execution=execution_flags(),
        method=METHOD,
    shell:
        "python -m pipeline evaluate --weights {input.weights:q} --images {input.images:q} {params.execution}"
        f" {run_flags()}"
        " --output {output:q} > {log:q} 2>&1"
