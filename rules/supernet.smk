# The uniform network of the largest ratio, from which candidates inherit.


rule pretrain_supernet:
    input:
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
    output:
        supernet=f"{RESULTS}/supernet/supernet.h5",
        history=f"{RESULTS}/supernet/history.csv",
        timing=f"{RESULTS}/supernet/timing.json",
    log:
        f"{RESULTS}/logs/pretrain_supernet.log",
    benchmark:
        f"{RESULTS}/benchmarks/pretrain_supernet.tsv"
    priority: 100
    conda:
        "../envs/pipeline.yaml"
    threads: PROCESSES * config["execution"]["threads"]
    resources:
        mem_mb=memory(8000 * PROCESSES),
        cpus_per_task=cpus,
        gpu=gpus(PROCESSES),
    params:
        network=network_flags(),
        ratio=max(config["search"]["ratios"]),
        training=training_flags("supernet"),
        execution=shared_execution_flags(),
        seed=config["seed"],
        method=METHOD,
    shell:
        f"{shared_python()} -m pipeline pretrain-supernet"
        " --images {input.images:q} --subset {input.subset:q}"
        " --ratio {params.ratio} --seed {params.seed} {params.network} {params.training} {params.execution}"
        f" {run_flags()} {keeping_flags()}"
        " --supernet {output.supernet:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"
