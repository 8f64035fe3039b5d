# Training of every row of the table in full, with several seeds, and its score on the test set.


rule choose_control:
    input:
        images=rules.prepare_dataset.output.train,
        found=files.controlled_genome,
        latencies=ancient(files.latencies()),
    output:
        layout.control("{model}"),
    log:
        layout.log("choose_control", "{model}"),
    wildcard_constraints:
        model=files.controls,
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        control=lambda wildcards: flags.control(wildcards.model),
        network=lambda wildcards: flags.counted_network(),
        method=flags.method,
    shell:
        "python -m pipeline choose-control --images {input.images:q} --found {input.found:q} {params.control}"
        " {params.network} --output {output:q} > {log:q} 2>&1"


rule retrain:
    input:
        images=rules.prepare_dataset.output.train,
        best=files.found_genome,
        teacher=files.teacher,
    output:
        weights=layout.training("{model}", "{seed}").weights,
        history=layout.training("{model}", "{seed}").history,
        timing=layout.training("{model}", "{seed}").timing,
    log:
        layout.training_log("{model}", "{seed}"),
    benchmark:
        layout.benchmark("retrain", "{model}_{seed}")
    conda:
        "../envs/pipeline.yaml"
    threads: machine.processes * machine.threads
    resources:
        mem_mb=machine.memory(8000 * machine.processes),
        cpus_per_task=machine.cpus,
        gpu=machine.gpus(machine.processes),
    params:
        genome=lambda wildcards: flags.genome(wildcards.model),
        best=lambda wildcards, input: optional_flag("--best", input.best),
        network=flags.network(),
        # Of wildcards alone: a change of what is made of inputs would make nothing anew.
        training=lambda wildcards: flags.row_training(wildcards.model, map(str, files.teacher(wildcards))),
        execution=flags.shared_execution(),
        seed=config["seed"],
        method=flags.training_method,
    shell:
        f"{machine.shared_python()} -m pipeline retrain"
        " --images {input.images:q} {params.genome} {params.best}"
        " --seed {params.seed} --repetition {wildcards.seed} {params.network} {params.training} {params.execution}"
        f" {flags.run()} {flags.keeping()}"
        " --weights {output.weights:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"


# The only rule that scores on the test set (measure_inference compares what it answered). One job for all seeds of a row: it takes seconds.
rule evaluate:
    input:
        weights=expand(rules.retrain.output.weights, seed=files.seeds, allow_missing=True),
        images=rules.prepare_dataset.output.test,
    output:
        expand(layout.measurement("{model}", "{seed}"), seed=files.seeds, allow_missing=True),
    log:
        layout.log("evaluate", "{model}"),
    conda:
        "../envs/pipeline.yaml"
    threads: machine.threads
    resources:
        mem_mb=machine.memory(8000),
        cpus_per_task=machine.cpus,
        gpu=machine.gpus(),
    params:
        **flags.answered_in(),
        execution=flags.execution(),
        method=flags.training_method,
        # By these it notices weights that are another training's; they name outputs, so that results made before stay.
        asked=lambda wildcards, output: flags.asked_of_row(wildcards.model),
        best=lambda wildcards, output: optional_flag("--best", map(str, files.found_genome(wildcards))),
        learnt=lambda wildcards, output: optional_flag("--train-images", [str(layout.train)]),
    shell:
        "python -m pipeline evaluate --weights {input.weights:q} --images {input.images:q} {params.execution}"
        " {params.asked} {params.best} {params.learnt}"
        f" {flags.run()}"
        " --output {output:q} > {log:q} 2>&1"
