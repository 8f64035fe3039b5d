"""Sections of the configuration as flags of the steps' commands.

A rule's params hold the flags of its own command and nothing else, so that it runs again exactly when something that it
depends on has changed. What has no influence on results (``run``, ``keeping``) stands in a command but in no params.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.common.settings import flags
from pipeline.networks.genome import format_genome
from pipeline.networks.spec import PUBLISHED_WIDTH, architecture
from pipeline.search.settings import EvolutionSettings
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.workflow.config import genome_of
from pipeline.workflow.layout import Layout
from pipeline.workflow.sources import Sources, Words


def optional_flag(flag: str, files: Sequence[str]) -> str:
    """Returns a flag with its files; nothing where there are none.

    >>> optional_flag("--best", ["a.json", "b c.json"]), optional_flag("--best", [])
    ("--best a.json 'b c.json'", '')
    """
    return f"{flag} {shlex.join(files)}" if files else ""


def labelled(flag: str, labels: Iterable[str], files: Sequence[str]) -> str:
    """Returns a flag with its files and what each of them is about; nothing where there are none.

    >>> labelled("--scores", ["A", "B"], ["a.csv", "b.csv"])
    '--scores A=a.csv B=b.csv'
    """
    return optional_flag(flag, [f"{label}={file}" for label, file in zip(labels, files, strict=True)])


def _path(path: str | None) -> list[str]:
    """The flag of a folder of images; in one word if the folder's name could be taken for another flag."""
    if path is None:
        return []
    return [f"--path={path}"] if path.startswith("-") else ["--path", path]


class Flags:
    """The flags that an experiment's commands are called with."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._layout = Layout.of(config["experiment"])
        self._processes: int = config["execution"].get("processes", 1)
        self._sources = Sources(config)

    @property
    def method(self) -> str:
        """Changes when the code computes something else, or a network's module lists other layers."""
        return f"method {METHOD_VERSION}, layers {architecture(self._config['network']['name'])}"

    def dataset(self) -> str:
        """What is prepared, and how."""
        dataset = self._config["dataset"]
        words = ["--dataset", dataset["name"], "--image-size", dataset["image_size"]]
        words += ["--storage", dataset.get("storage", "auto")]
        words += ["--test-fraction", dataset.get("test_fraction", 0.2)]
        words += ["--damaged-images", dataset.get("damaged_images", "stop")]
        words += ["--seed", self._config["seed"]]
        there = self._sources.state
        key = ["--sources", there.key] if there.key else []
        paths = (dataset.get("path"), there.path)
        said, counted = (shlex.join(map(str, [*words, *_path(path), *key])) for path in paths)
        return Words(said, counted)

    def split(self) -> str:
        """How many images of each class the search uses."""
        split = self._config["split"]
        words = ["--validation-per-class", split["validation_per_class"], "--seed", self._config["seed"]]
        if split["subset_per_class"] is not None:
            words += ["--subset-per-class", split["subset_per_class"]]
        return shlex.join(map(str, words))

    def network(self) -> str:
        """The network and the width of its layers."""
        network = self._config["network"]
        return shlex.join(["--network", network["name"], "--base-width", f"{network['base_width']:g}"])

    def cost_width(self) -> str:
        """The width at which a genome's cost is counted."""
        return f"--cost-width {self._config['search'].get('cost_width', PUBLISHED_WIDTH):g}"

    def training(self, section: str) -> str:
        """The recipe of the supernet, of a candidate or of the retraining."""
        return flags(TrainingSettings, self._config[section])

    def recalibrate(self) -> str:
        """Whether batch-norm moments are computed anew before a candidate is scored."""
        return "--recalibrate" if self._config["candidate"].get("recalibrate") else ""

    def execution(self) -> str:
        """Device, precision, kernels and threads, which can change a result's last digits."""
        return flags(ExecutionSettings, self._config["execution"])

    def shared_execution(self) -> str:
        """The same for a training whose steps several processes can take together; one process needs no flag."""
        return self.execution() + (f" --processes {self._processes}" if self._processes > 1 else "")

    def run(self) -> str:
        """How images are loaded, and where it is settled what to compute with: results made before stay."""
        loaders = self._config["execution"].get("loaders", 0)
        return f"--loaders {loaders} --arithmetic {self._layout.arithmetic}"

    def keeping(self) -> str:
        """What a training in full leaves on disk beside its outputs."""
        minutes = self._config["execution"].get("save_minutes", 5)
        return f"--save-minutes {minutes} --finished {self._layout.trainings}"

    def ratios(self) -> str:
        """The values that a gene can take."""
        return "--ratios " + " ".join(f"{ratio:g}" for ratio in self._config["search"]["ratios"])

    def proposal(self, search: str) -> str:
        """How a search proposes genomes. λ counts only where the algorithm chooses parents by it."""
        section = self._config["searches"][search]
        settings = flags(EvolutionSettings, {**self._config["search"], "algorithm": section["algorithm"]})
        seed = section.get("seed", self._config["seed"])
        penalty = section["lambda"] if section["algorithm"] == "evolution" else 0
        return f"{settings} --seed {seed} --lambda {penalty:g}"

    def genome(self, model: str) -> str:
        """A row's genome, where the configuration gives it; a search's genome is an input file instead."""
        row = self._config["models"][model]
        precision = "" if row.get("binary", True) else " --full-precision"
        return f"--genome {format_genome(genome_of(self._config, model))}{precision}" if "genome" in row else precision

    def control(self, model: str) -> str:
        """What a control has in common with the row that it controls."""
        return f"--control {self._config['models'][model]['control']}"

    def row_genomes(self) -> str:
        """The genomes of the binary rows for which the configuration gives them."""
        models = self._config["models"].items()
        given = [model for model, row in models if "genome" in row and row.get("binary", True)]
        genomes = dict.fromkeys(format_genome(genome_of(self._config, model)) for model in given)
        return shlex.join(["--genomes", *genomes]) if genomes else ""

    def measurements(self) -> str:
        """The rows and searches of the tables, in the configuration's order."""
        models, searches = self._config["models"].items(), self._config["searches"].items()
        rows = (f"{model}={row['search']}" if "search" in row else model for model, row in models)
        controls = [f"{model}={row['control']}:{row['of']}" for model, row in models if "control" in row]
        named = (f"{name}={section['algorithm']}:{section['lambda']:g}" for name, section in searches)
        published = self._config.get("published")
        words = ["--models", *rows, "--searches", *named, *(["--controls", *controls] if controls else [])]
        words += ["--published", published] if published else []
        return f"{shlex.join(words)} {self.cost_width()}"
