# What the proxy is worth: a random sample of genomes, scored as candidates and trained in full, both several times. Trained
# networks are scored on images that no candidate saw, so that whoever chooses by this does not choose by the test set.


rule sample_genomes:
    input:
        images=rules.prepare_dataset.output.train,
        latencies=ancient(files.latencies()),
    output:
        layout.sample.population,
    log:
        layout.log("proxy", "sample_genomes"),
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        sample=flags.sample(),
        network=lambda wildcards: flags.counted_network(),
        ratios=flags.ratios(),
        budget=flags.budget(),
        method=flags.counting_method,
    shell:
        "python -m pipeline sample-genomes --images {input.images:q} {params.sample} {params.ratios} {params.network}"
        " {params.budget} --output {output:q} > {log:q} 2>&1"


use rule evaluate_generation as score_sample with:
    input:
        population=rules.sample_genomes.output[0],
        images=rules.prepare_dataset.output.train,
        subset=rules.sample_subset.output.subset,
        validation=rules.sample_subset.output.validation,
        supernet=files.supernet(),
    output:
        evaluations=layout.sample.scores("{repetition}"),
        timing=layout.sample.scores_timing("{repetition}"),
    log:
        layout.log("proxy", "score_{repetition}"),
    benchmark:
        layout.benchmark("proxy", "score_{repetition}")
    wildcard_constraints:
        search=".*",
    priority: 60
    params:
        recalibrate=flags.recalibrate(),
        title="--title sample",
        shard=lambda wildcards: f"--repetition {wildcards.repetition}",


use rule evaluate_generation as train_sample with:
    input:
        population=rules.sample_genomes.output[0],
        images=rules.prepare_dataset.output.train,
        subset=rules.hold_out.output.others,
        validation=rules.hold_out.output.held_out,
    output:
        evaluations=layout.sample.trained("{repetition}"),
        timing=layout.sample.trained_timing("{repetition}"),
    log:
        layout.log("proxy", "train_{repetition}"),
    benchmark:
        layout.benchmark("proxy", "train_{repetition}")
    wildcard_constraints:
        search=".*",
    priority: 60
    params:
        supernet="",
        training=flags.training("retrain"),
        recalibrate="",
        title="--title 'sample, in full'",
        shard=lambda wildcards: f"--repetition {wildcards.repetition}",
