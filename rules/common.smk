# What all rules share: the checked configuration, the environment of the steps, and helpers that turn sections of the
# configuration into flags. A rule's params hold the flags of its own command and nothing else, so that it runs again
# exactly when something it depends on has changed.

import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from pipeline import METHOD_VERSION
from pipeline.workflow.config import check_config, genome_of
from pipeline.common.errors import UserError
from pipeline.common.files import check_writable
from pipeline.networks.genome import format_genome
from pipeline.training.execution import gpu_is_used
from pipeline.networks.spec import architecture
from pipeline.workflow.slurm.partition import jobs_use_gpus
from pipeline.search.settings import EvolutionSettings
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.saved_config import save_config
from pipeline.steps.figures import FIGURES
from pipeline.common.settings import flags
from pipeline.workflow.launch import step_environment
from pipeline.workflow.lock import record_run
from snakemake.exceptions import WorkflowError

os.environ.update(step_environment(workflow.basedir))


def check_folder(folder):
    """Ends with a sentence where results cannot be written; Snakemake itself would end with a trace."""
    try:
        check_writable(Path(folder))
    except UserError as error:
        raise WorkflowError(str(error))


check_folder(".")

try:
    config = check_config(config)
except UserError as error:
    raise WorkflowError(f"configuration: {error}")

RESULTS = f"results/{config['experiment']}"
SHARDS = config["search"].get("shards", 1)
SEEDS = range(config["retrain"]["seeds"])
PROCESSES = config["execution"].get("processes", 1)
# What runs again when the code computes something else, or a network's module lists other layers.
METHOD = f"method {METHOD_VERSION}, layers {architecture(config['network']['name'])}"


def gpu_of_a_training():
    """Whether trainings run on GPUs: those of this machine, or those of the nodes that they are sent to.

    In a job on such a node, it is this machine again.
    """
    # The executor is not known yet. Jobs at a time are given for remote ones only (and for some local dry runs).
    sent = workflow.is_main_process and workflow.resource_settings.nodes is not None
    if not (sent and config["execution"]["device"] == "auto"):
        return gpu_is_used(config["execution"]["device"])
    partition = (workflow.resource_settings.default_resources or {}).get("slurm_partition")
    return jobs_use_gpus(str(getattr(partition, "raw", None) or "").strip("'\""))


GPU_IS_USED = gpu_of_a_training()


wildcard_constraints:
    search="|".join(config["searches"]) or "none",
    model="|".join(config["models"]),
    generation=r"\d{3}",
    shard=r"\d+",
    seed=r"\d+",


def network_flags():
    """The network and the width of its layers."""
    network = config["network"]
    return shlex.join(["--network", network["name"], "--base-width", f"{network['base_width']:g}"])


def execution_flags():
    """Device, precision and threads, which can change a result's last digits."""
    return flags(ExecutionSettings, config["execution"])


def shared_execution_flags():
    """The same for a training whose steps several processes can take together; one process needs no flag."""
    return execution_flags() + (f" --processes {PROCESSES}" if PROCESSES > 1 else "")


def shared_python():
    """What runs such a training: Python, or torchrun where there are several processes."""
    return "python" if PROCESSES == 1 else f"torchrun --standalone --nproc-per-node {PROCESSES}"


def run_flags():
    """What has no influence on results, and so stands in a command but not in a rule's params."""
    return f"--loaders {config['execution'].get('loaders', 0)}"


def keeping_flags():
    """What a full training leaves on disk beside its outputs; it has no influence on results either."""
    return f"--save-minutes {config['execution'].get('save_minutes', 5)} --finished {RESULTS}/trainings"


def training_flags(section):
    """The recipe of the supernet, of a candidate or of the retraining."""
    return flags(TrainingSettings, config[section])


def ratio_flags():
    """The values that a gene can take."""
    return "--ratios " + " ".join(f"{ratio:g}" for ratio in config["search"]["ratios"])


def evolution_flags(search):
    """How a search proposes genomes. λ counts only where the evolution chooses parents by it."""
    section = config["searches"][search]
    settings = flags(EvolutionSettings, {**config["search"], "algorithm": section["algorithm"]})
    seed = section.get("seed", config["seed"])
    penalty = section["lambda"] if section["algorithm"] == "evolution" else 0
    return f"{settings} --seed {seed} --lambda {penalty:g}"


def generation_folder(search, generation):
    """Where everything about a generation lies."""
    return f"{RESULTS}/search/{search}/generation_{generation:03d}"


def searches_by(algorithm):
    """The searches of one algorithm, as a pattern for their names."""
    return "|".join(name for name, s in config["searches"].items() if s["algorithm"] == algorithm) or "none"


def earlier_generations(wildcards):
    """What a proposal looks at: the scores of this search's earlier generations, for a random search their genomes.

    In ascending order: Snakemake's recursion ends at about 160 generations in any other.
    """
    random = config["searches"][wildcards.search]["algorithm"] == "random"
    name = "population.csv" if random else "scores.csv"
    earlier = range(int(wildcards.generation))
    return [f"{generation_folder(wildcards.search, g)}/{name}" for g in earlier]


def all_generations(search, name):
    """A file of each generation of a search, ascending."""
    return [f"{generation_folder(search, g)}/{name}" for g in range(config["search"]["generations"])]


def supernet_input():
    """The supernet, where candidates inherit from it."""
    return [f"{RESULTS}/supernet/supernet.h5"] if config["supernet"]["enabled"] else []


def workers():
    """Candidates trained side by side in one job; on CPUs, 'auto' divides this machine's among searches and shards."""
    if gpus():
        return config["search"].get("candidates_per_gpu", 1)
    wanted = config["search"].get("workers", "auto")
    if wanted != "auto":
        return wanted
    if not (workflow.is_main_process and workflow.local_exec):
        return 1  # on a cluster every shard is a job of its own, and a node's cores are not all its
    cores = workflow.resource_settings.cores or 1  # none is given for --dag and the like
    return max(1, cores // (max(1, len(config["searches"])) * SHARDS * config["execution"]["threads"]))


def genome_flags(model):
    """A row's genome, where the configuration gives it; a search's genome is an input file instead."""
    row = config["models"][model]
    precision = "" if row.get("binary", True) else " --full-precision"
    return f"--genome {format_genome(genome_of(config, model))}{precision}" if "genome" in row else precision


def row_genome_flags():
    """The binary rows whose genomes the configuration gives."""
    rows = {model: row for model, row in config["models"].items() if "genome" in row and row.get("binary", True)}
    genomes = dict.fromkeys(format_genome(genome_of(config, model)) for model in rows)
    return shlex.join(["--genomes", *genomes]) if genomes else ""


def searches_of_rows():
    """The searches whose best genome is a row."""
    return list(dict.fromkeys(row["search"] for row in config["models"].values() if "search" in row))


def found_genome(wildcards):
    """The file with a search's best genome, where a row takes it from there."""
    search = config["models"][wildcards.model].get("search")
    return [f"{RESULTS}/search/{search}/best.json"] if search else []


def gpus(processes=1):
    """GPUs that a training asks for: one for each of its processes.

    Snakemake would silently lower a request for more than it was given.
    """
    wanted = processes * GPU_IS_USED
    given = workflow.global_resources.get("gpu")
    given = getattr(given, "value", given)
    if workflow.is_main_process and given is not None and processes > 1 and wanted > given:
        raise WorkflowError(
            f"execution.processes is {processes}, but this run is given gpu={given}: add --resources gpu={wanted}"
        )
    return wanted


def cpus(wildcards, threads):
    """Cores that a job gets on a cluster: those that it computes on, and one for each process that decodes images."""
    execution = config["execution"]
    return threads + execution.get("loaders", 0) * (threads // execution["threads"])


def memory(megabytes):
    """Main memory that a job asks for: more when it is tried again."""
    return lambda wildcards, attempt: megabytes * attempt


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


def measurement_flags():
    """The rows and searches of the tables, in the configuration's order."""
    rows = (f"{model}={row['search']}" if "search" in row else model for model, row in config["models"].items())
    searches = (f"{name}={s['algorithm']}:{s['lambda']:g}" for name, s in config["searches"].items())
    published = config.get("published")
    words = ["--models", *rows, "--searches", *searches]
    return shlex.join(words + (["--published", published] if published else []))


def of_every_training(pattern):
    """A file of each row and seed."""
    return expand(pattern, model=config["models"], seed=SEEDS)


def optional_flag(flag, files):
    """A flag with its files, left out where there are none."""
    return f"{flag} {shlex.join(files)}" if files else ""
