# Images: prepared once, then divided into what the search learns from and what it is scored on.


def dataset_flags():
    """What is prepared, and how."""
    dataset = config["dataset"]
    words = ["--dataset", dataset["name"], "--image-size", dataset["image_size"]]
    words += ["--storage", dataset.get("storage", "auto")]
    words += ["--test-fraction", dataset.get("test_fraction", 0.2)]
    words += ["--damaged-images", dataset.get("damaged_images", "stop")]
    words += ["--seed", config["seed"]]
    if dataset.get("path") is not None:
        words += ["--path", dataset["path"]]
    return shlex.join(map(str, words))


def split_flags():
    """How many images of each class the search uses."""
    split = config["split"]
    words = ["--validation-per-class", split["validation_per_class"], "--seed", config["seed"]]
    if split["subset_per_class"] is not None:
        words += ["--subset-per-class", split["subset_per_class"]]
    return shlex.join(map(str, words))


rule prepare_dataset:
    output:
        train=f"{RESULTS}/data/train.h5",
        test=f"{RESULTS}/data/test.h5",
    log:
        f"{RESULTS}/logs/prepare_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_dataset.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        flags=dataset_flags(),
    resources:
        mem_mb=4000,
        runtime="12h",
    priority: 100
    message:
        "preparing the images"
    shell:
        "python -m pipeline prepare-dataset {params.flags} --train {output.train:q} --test {output.test:q} > {log:q} 2>&1"


rule sample_subset:
    input:
        images=rules.prepare_dataset.output.train,
    output:
        subset=f"{RESULTS}/splits/subset.csv",
        validation=f"{RESULTS}/splits/validation.csv",
    log:
        f"{RESULTS}/logs/sample_subset.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        flags=split_flags(),
    priority: 100
    localrule: True
    message:
        "drawing the search's images"
    shell:
        "python -m pipeline sample-subset --images {input.images:q} {params.flags}"
        " --subset {output.subset:q} --validation {output.validation:q} > {log:q} 2>&1"
