"""Sections of the configuration that are no settings of a training or of a search algorithm.

What a key means, its type and its limits are said here and nowhere else: the schema, the flags of steps and the check
of the comments in config.yaml come from the fields.
"""

from dataclasses import dataclass
from typing import Literal

from pipeline.common.settings import setting
from pipeline.networks.genome import RATIOS
from pipeline.networks.spec import PUBLISHED_WIDTH
from pipeline.search.choice import SCORE, ChosenBy

Storage = Literal["auto", "pixels", "jpeg"]
Damaged = Literal["stop", "skip"]

#: What a width can be, as a fraction of the published ones.
_WIDTH = {"exclusiveMinimum": 0, "maximum": 64}


@dataclass(frozen=True)
class DatasetSettings:
    """The images."""

    dataset: str = setting(
        "digits (embedded), fashion_mnist and cifar10 (downloaded if they are not there), image_folder (any folder of "
        "class folders), or torchvision:NAME, such as torchvision:CIFAR100 (any of its data sets for classification).",
        key="name",
        flag="--dataset",
    )
    image_size: int = setting("Side in pixels that images are brought to.", limits={"minimum": 1})
    storage: Storage = setting(
        "pixels (bytes, for small images), jpeg (encoded, for large ones), or auto by image_size.", default="auto"
    )
    test_fraction: float = setting(
        "Share of the images that becomes the test set where the data set has none of its own.",
        limits={"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        default=0.2,
    )
    damaged_images: Damaged = setting(
        "What to do about an image that cannot be read: stop, or skip (and count).", default="stop"
    )
    path: str | None = setting("Folder of the images; null is resources/<name>. Not used by digits.", default=None)


@dataclass(frozen=True)
class SplitSettings:
    """Images of the search, taken from the train set."""

    validation_per_class: int = setting(
        "Images of each class that candidates are scored on. They are in no training but the final one.",
        limits={"minimum": 1},
    )
    subset_per_class: int | None = setting(
        "Images of each class that supernet and candidates learn from. null: all that the validation images leave.",
        limits={"minimum": 1},
        default=None,
    )
    held_out_per_class: int = setting(
        "Images of each class on which finalists are scored anew and the proxy is judged: on these no candidate was "
        "selected.",
        limits={"minimum": 0},
        default=0,
    )


@dataclass(frozen=True)
class NetworkSettings:
    """The network that is searched."""

    network: str = setting("vgg_small or resnet18.", key="name", flag="--network", default="vgg_small")
    base_width: float = setting(
        "Fraction of the published base widths (VGG-small: 128, 128, 256, 256, 512, 512).",
        limits=_WIDTH,
        default=PUBLISHED_WIDTH,
    )
    binariser: str = setting("How weights and activations become bits (Eq. 1).", default="dorefa")


@dataclass(frozen=True)
class SupernetSettings:
    """The supernet, beside its recipe."""

    enabled: bool = setting(
        "false: candidates start from random weights, and no supernet is trained. Without a search none is trained "
        "either.",
        default=True,
    )


@dataclass(frozen=True)
class CandidateSettings:
    """A candidate, beside its recipe."""

    recalibrate: bool = setting(
        "Recompute the batch-norm moments over the subset before the score is taken.", default=False
    )


@dataclass(frozen=True)
class SearchSettings:
    """The settings that all searches have in common, beside the settings of their algorithms."""

    ratios: tuple[float, ...] = setting(
        "Width ratios that a gene can take (Eq. 2).",
        limits={"exclusiveMinimum": 0, "minItems": 1, "uniqueItems": True},
        default=RATIOS,
    )
    generations: int = setting(
        "Generations of this many genomes each; the paper has 50 of 32. More generations extend a finished search.",
        limits={"minimum": 1, "maximum": 1000},
        default=50,
    )
    shards: int = setting(
        "Jobs that each generation is split in. The outcome does not depend on it.", limits={"minimum": 1}, default=1
    )
    workers: Literal["auto"] | int = setting(
        "Candidates trained side by side in one job; auto divides the cores among searches and shards.",
        limits={"minimum": 1},
        default="auto",
    )
    candidates_per_gpu: int = setting(
        "Candidates that take turns on one GPU, where a GPU is used, in one process and each on a stream of its own: "
        "small networks do not fill a GPU (docs/performance.md). Each needs its own memory there, and its job asks for "
        "a core; one that finds too little is tried again alone, then in micro-batches, which is recorded with its "
        "score.",
        limits={"minimum": 1},
        default=1,
    )
    finalists: int = setting(
        "How many of a search's best, over all its seeds, are trained once more and scored on the held-out images; the "
        "best of each seed comes on top. What wins there is what was found. 0: the best of the search itself is taken.",
        limits={"minimum": 0},
        default=0,
    )
    rescorings: int = setting(
        "Trainings of each finalist, from seeds other than the search's.", limits={"minimum": 1}, default=1
    )
    chosen_by: ChosenBy = setting(
        "By what finalists, or what was found where there are none, are chosen from the candidates of all seeds: score,"
        " or model (what a Gaussian process expects of each that has seen all their scores).",
        default=SCORE,
    )
    cost_width: float = setting(
        "Fraction of the published base widths at which a genome's cost is counted, in fitness, budgets and tables. 1 "
        "is the published network: a narrow one is trained in its place, in which the real-valued first layer weighs "
        "too much.",
        limits=_WIDTH,
        default=PUBLISHED_WIDTH,
    )


@dataclass(frozen=True)
class ProxySettings:
    """The sample on which the worth of scores is judged."""

    sample: int = setting(
        "Genomes. 0: the proxy is not judged; nor is it without a search, since nobody selects by a score then.",
        limits={"minimum": 0},
        default=0,
    )
    scores: int = setting(
        "Trainings of each as a candidate, from different seeds. Two say how well a score agrees with another one.",
        limits={"minimum": 1},
        default=1,
    )
    trainings: int = setting(
        "Trainings of each in full, scored on the held-out images.", limits={"minimum": 1}, default=1
    )


@dataclass(frozen=True)
class RetrainSettings:
    """Training in full, beside its recipe."""

    seeds: int = setting(
        "Trainings of each row, from different seeds; the table shows mean and standard deviation.",
        limits={"minimum": 1},
        default=1,
    )
    teacher: str | None = setting(
        "A full-precision row with a genome, from whose answers binary rows learn (distillation); null: from the "
        "labels alone.",
        default=None,
    )
    teacher_weight: float = setting(
        "Share of its answers in what is learnt; the labels have the rest.",
        limits={"exclusiveMinimum": 0, "maximum": 1},
        default=1.0,
    )


@dataclass(frozen=True)
class InferenceSettings:
    """How long the rows take to answer."""

    measure: bool = setting(
        "Make the packed networks (results/EXPERIMENT/packed/) and tables/inference.md. `python -m pipeline bench` "
        "measures at any time.",
        default=True,
    )
    threads: int = setting("CPU threads of every network that is timed.", limits={"minimum": 1}, default=1)
