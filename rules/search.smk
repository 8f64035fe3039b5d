# A search: propose a generation, evaluate it (in one job or in several shards), score it, propose the next.
# Generations and shards are numbered beforehand and genomes are file contents, so the graph is known from the start.

generation = layout.generation("{search}", "{generation}")
of_search = layout.search("{search}")


rule propose_generation:
    input:
        images=rules.prepare_dataset.output.train,
        earlier=files.earlier_generations,
        latencies=ancient(files.latencies()),
    output:
        generation.population,
    log:
        layout.log("search", "{search}", "propose_{generation}"),
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        network=lambda wildcards: flags.counted_network(),
        ratios=flags.ratios(),
        evolution=lambda wildcards: flags.proposal(wildcards.search),
        number=lambda wildcards: int(wildcards.generation),
        method=lambda wildcards: flags.proposal_method(wildcards.search),
    shell:
        "python -m pipeline propose-generation --images {input.images:q} --earlier {input.earlier:q}"
        " --generation {params.number} {params.ratios} {params.network} {params.evolution}"
        " --output {output:q} > {log:q} 2>&1"


rule evaluate_generation:
    input:
        population=generation.population,
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.sample_subset.output.validation,
        supernet=files.supernet(),
    output:
        evaluations=generation.shard_evaluations("{shard}", files.shards),
        timing=generation.shard_timing("{shard}", files.shards),
    log:
        layout.log("search", "{search}", f"evaluate_{{generation}}_{{shard}}-of-{files.shards}"),
    benchmark:
        layout.benchmark("search", "{search}", f"evaluate_{{generation}}_{{shard}}-of-{files.shards}")
    wildcard_constraints:
        search=files.searches(looking_at_scores=True),
    priority: 80
    conda:
        "../envs/pipeline.yaml"
    threads: machine.cores_for_candidates
    resources:
        mem_mb=machine.memory(8000),
        cpus_per_task=machine.cpus,
        gpu=machine.gpus(),
    params:
        supernet=lambda wildcards, input: flags.supernet(input.supernet),
        title=lambda wildcards, output: f"--title '{wildcards.search} generation {int(wildcards.generation)}'",
        network=flags.network(),
        ratios=flags.ratios(),
        training=flags.training("candidate"),
        recalibrate=flags.recalibrate(early_stopping=True),
        execution=flags.execution(),
        seed=config["seed"],
        shard=lambda wildcards: f"--shard {wildcards.shard} --shards {files.shards}",
        method=flags.training_method,
    shell:
        "python -m pipeline evaluate-generation --population {input.population:q} --images {input.images:q}"
        " --subset {input.subset:q} --validation {input.validation:q} {params.supernet}"
        f" {flags.run()} --archive {layout.archive} {{params.title}} {{params.shard}}"
        " --cores {threads} --seed {params.seed} {params.ratios} {params.network} {params.training} {params.recalibrate} {params.execution}"
        " --output {output.evaluations:q} --timing {output.timing:q} > {log:q} 2>&1"


# Generations that look at no scores do not wait for each other, and would take the cores from those that do.
use rule evaluate_generation as evaluate_free_generation with:
    wildcard_constraints:
        search=files.searches(looking_at_scores=False),
    priority: 70


rule score_generation:
    input:
        population=generation.population,
        evaluations=expand(rules.evaluate_generation.output.evaluations, shard=range(files.shards), allow_missing=True),
        timings=expand(rules.evaluate_generation.output.timing, shard=range(files.shards), allow_missing=True),
    output:
        scores=generation.scores,
        timing=generation.timing,
    log:
        layout.log("search", "{search}", "score_{generation}"),
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        ratios=flags.ratios(),
        identity=lambda wildcards: flags.objective_identity(wildcards.search),
        objective=lambda wildcards, output: flags.objective(wildcards.search),
    shell:
        "python -m pipeline score-generation --population {input.population:q} --evaluations {input.evaluations:q}"
        " --timings {input.timings:q} {params.ratios} {params.objective}"
        " --output {output.scores:q} --timing {output.timing:q} > {log:q} 2>&1"


rule select_best:
    input:
        scores=files.all_scores,
        timings=files.all_timings,
    output:
        best=of_search.best,
        history=of_search.history,
        timing=of_search.timing,
    log:
        layout.log("search", "{search}", "select_best"),
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        identity=lambda wildcards: flags.objective_identity(wildcards.search),
        objective=lambda wildcards, output: flags.objective(wildcards.search),
    shell:
        "python -m pipeline select-best --search {wildcards.search} --scores {input.scores:q}"
        " --timings {input.timings:q} {params.objective}"
        " --output {output.best:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"


# What the search that a row comes from has found: the finalists of all its runs, trained from other seeds and scored on
# images on which none of them was selected.
finalists = layout.finalists("{model}")


rule choose_finalists:
    input:
        images=rules.prepare_dataset.output.train,
        histories=files.histories,
        latencies=ancient(files.latencies()),
    output:
        finalists.population,
    log:
        layout.log("finalists", "{model}", "choose"),
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        histories=lambda wildcards, input: labelled("--histories", files.runs(wildcards.model), input.histories),
        finalists=flags.finalists(),
        identity=lambda wildcards: flags.found_objective_identity(wildcards.model),
        objective=lambda wildcards, output: flags.found_objective(wildcards.model),
        network=lambda wildcards: flags.counted_network(),
        method=flags.counting_method,
    shell:
        "python -m pipeline choose-finalists --images {input.images:q} {params.histories} {params.finalists}"
        " {params.objective} {params.network} --output {output:q} > {log:q} 2>&1"


use rule evaluate_generation as evaluate_finalists with:
    input:
        population=rules.choose_finalists.output[0],
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.hold_out.output.held_out,
        supernet=files.supernet(),
    output:
        evaluations=finalists.repeated("{repetition}"),
        timing=finalists.repeated_timing("{repetition}"),
    log:
        layout.log("finalists", "{model}", "evaluate_{repetition}"),
    benchmark:
        layout.benchmark("finalists", "{model}_{repetition}")
    wildcard_constraints:
        search=".*",
    priority: 90
    params:
        recalibrate=flags.recalibrate(),
        title=lambda wildcards: f"--title 'finalists of {wildcards.model}'",
        shard=lambda wildcards: f"--repetition {wildcards.repetition}",


rule select_found:
    input:
        histories=files.histories,
        rescored=files.rescored,
    output:
        finalists.found,
    log:
        layout.log("finalists", "{model}", "select"),
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        histories=lambda wildcards, input: labelled("--histories", files.runs(wildcards.model), input.histories),
        rescored=lambda wildcards, input: optional_flag("--rescored", input.rescored),
        identity=lambda wildcards: flags.found_objective_identity(wildcards.model),
        objective=lambda wildcards, output: flags.found_objective(wildcards.model),
        search=lambda wildcards: config["models"][wildcards.model]["search"],
    shell:
        "python -m pipeline select-found --search {params.search} {params.histories} {params.rescored} {params.objective}"
        " --output {output:q} > {log:q} 2>&1"
