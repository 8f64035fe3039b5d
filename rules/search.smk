# A search: propose a generation, evaluate it (in one job or in several shards), score it, propose the next.
# Generations and shards are numbered beforehand and genomes are file contents, so the graph is known from the start.

GENERATION = f"{RESULTS}/search/{{search}}/generation_{{generation}}"


rule propose_generation:
    input:
        images=rules.prepare_dataset.output.train,
        earlier=earlier_generations,
    output:
        f"{GENERATION}/population.csv",
    log:
        f"{RESULTS}/logs/search/{{search}}/propose_{{generation}}.log",
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        network=network_flags(),
        ratios=ratio_flags(),
        evolution=lambda wildcards: evolution_flags(wildcards.search),
        number=lambda wildcards: int(wildcards.generation),
        method=METHOD,
    shell:
        "python -m pipeline propose-generation --images {input.images:q} --earlier {input.earlier:q}"
        " --generation {params.number} {params.ratios} {params.network} {params.evolution}"
        " --output {output:q} > {log:q} 2>&1"


rule evaluate_generation:
    input:
        population=f"{GENERATION}/population.csv",
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.sample_subset.output.validation,
        supernet=supernet_input(),
    output:
        evaluations=f"{GENERATION}/evaluations_{{shard}}-of-{SHARDS}.csv",
        timing=f"{GENERATION}/timing_{{shard}}-of-{SHARDS}.csv",
    log:
        f"{RESULTS}/logs/search/{{search}}/evaluate_{{generation}}_{{shard}}-of-{SHARDS}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search/{{search}}/evaluate_{{generation}}_{{shard}}-of-{SHARDS}.tsv"
    wildcard_constraints:
        search=searches_by("evolution"),
    priority: 80
    conda:
        "../envs/pipeline.yaml"
    threads: lambda wildcards: workers() * config["execution"]["threads"]
    resources:
        mem_mb=memory(8000),
        cpus_per_task=cpus,
        gpu=gpus(),
    params:
        supernet=lambda wildcards, input: optional_flag("--supernet", input.supernet),
        network=network_flags(),
        ratios=ratio_flags(),
        training=training_flags("candidate"),
        recalibrate="--recalibrate" if config["candidate"].get("recalibrate") else "",
        execution=execution_flags(),
        seed=config["seed"],
        shard=lambda wildcards: f"--shard {wildcards.shard} --shards {SHARDS}",
        method=METHOD,
    shell:
        "python -m pipeline evaluate-generation --population {input.population:q} --images {input.images:q}"
        " --subset {input.subset:q} --validation {input.validation:q} {params.supernet}"
        f" {run_flags()} --archive {RESULTS}/archive {{params.shard}}"
        " --cores {threads} --seed {params.seed} {params.ratios} {params.network} {params.training} {params.recalibrate} {params.execution}"
        " --output {output.evaluations:q} --timing {output.timing:q} > {log:q} 2>&1"


# The generations of a random search do not wait for each other, and would take the cores from those that do.
use rule evaluate_generation as evaluate_random_generation with:
    wildcard_constraints:
        search=searches_by("random"),
    priority: 70


rule score_generation:
    input:
        population=f"{GENERATION}/population.csv",
        evaluations=expand(rules.evaluate_generation.output.evaluations, shard=range(SHARDS), allow_missing=True),
        timings=expand(rules.evaluate_generation.output.timing, shard=range(SHARDS), allow_missing=True),
    output:
        scores=f"{GENERATION}/scores.csv",
        timing=f"{GENERATION}/timing.csv",
    log:
        f"{RESULTS}/logs/search/{{search}}/score_{{generation}}.log",
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        ratios=ratio_flags(),
        penalty=lambda wildcards: config["searches"][wildcards.search]["lambda"],
    shell:
        "python -m pipeline score-generation --population {input.population:q} --evaluations {input.evaluations:q}"
        " --timings {input.timings:q} {params.ratios} --lambda {params.penalty}"
        " --output {output.scores:q} --timing {output.timing:q} > {log:q} 2>&1"


rule select_best:
    input:
        scores=lambda wildcards: all_generations(wildcards.search, "scores.csv"),
        timings=lambda wildcards: all_generations(wildcards.search, "timing.csv"),
    output:
        best=f"{RESULTS}/search/{{search}}/best.json",
        history=f"{RESULTS}/search/{{search}}/history.csv",
        timing=f"{RESULTS}/search/{{search}}/timing.csv",
    log:
        f"{RESULTS}/logs/search/{{search}}/select_best.log",
    priority: 90
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        penalty=lambda wildcards: config["searches"][wildcards.search]["lambda"],
    shell:
        "python -m pipeline select-best --search {wildcards.search} --scores {input.scores:q}"
        " --timings {input.timings:q} --lambda {params.penalty}"
        " --output {output.best:q} --history {output.history:q} --timing {output.timing:q} > {log:q} 2>&1"
