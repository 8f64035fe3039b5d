# The uniform network of the largest ratio, from which candidates inherit.


rule pretrain_supernet:
    input:
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
    output:
        supernet=layout.supernet.weights,
        history=layout.supernet.history,
        timing=layout.supernet.timing,
    log:
        layout.log("pretrain_supernet"),
    benchmark:
        layout.benchmark("pretrain_supernet")
    priority: 100
    conda:
        "../envs/pipeline.yaml"
    threads: machine.processes * machine.threads
    resources:
        mem_mb=machine.memory(8000 * machine.processes),
        cpus_per_task=machine.cpus,
        gpu=machine.gpus(machine.processes),
    params:
        network=flags.network(),
        ratio=max(config["search"]["ratios"]),
        training=flags.training("supernet"),
        execution=flags.shared_execution(),
        seed=config["seed"],
        method=flags.training_method,
    shell:
        f"{machine.shared_python()} -m pipeline pretrain-supernet"
        " --images {input.images:q} --subset {input.subset:q}"
        " --ratio {params.ratio} --seed {params.seed} {params.network} {params.training} {params.execution}"
        f" {flags.run()} {flags.keeping()}"
        " --supernet {output.supernet:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"
