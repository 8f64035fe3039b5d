"""Which files rules take, where that depends on the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.search.algorithms import ALGORITHMS
from pipeline.workflow.counting import looks_at_latency
from pipeline.workflow.layout import Layout
from pipeline.workflow.models import chosen_anew, runs_of, searched
from pipeline.workflow.proxy import samples, trains_supernet
from pipeline.workflow.recipes import teacher_of
from pipeline.workflow.sources import are_the_same


class Files:
    """The files of an experiment that rules take by number or by name.

    Generations are listed in ascending order: Snakemake's recursion ends at about 160 of them in any other.
    """

    def __init__(self, config: Mapping[str, Any], layout: Layout | None = None) -> None:
        self._config = config
        self._layout = layout or Layout.of(config["experiment"])
        self.seeds = range(config["retrain"]["seeds"])
        self.shards: int = config["search"]["shards"]
        self.generations = range(config["search"]["generations"])
        self.trains_supernet = trains_supernet(config)

    def searches(self, *, looking_at_scores: bool) -> str:
        """Returns the searches whose algorithms look at scores, or do not, as a pattern for their names."""
        named = self._config["searches"].items()
        found = (n for n, s in named if ALGORITHMS[s["algorithm"]].LOOKS_AT_SCORES is looking_at_scores)
        return "|".join(found) or "none"

    def earlier_generations(self, wildcards: Any) -> list[Path]:
        """Returns what a proposal looks at in earlier generations: their scores, or their genomes alone."""
        looks = ALGORITHMS[self._config["searches"][wildcards.search]["algorithm"]].LOOKS_AT_SCORES
        earlier = [self._layout.generation(wildcards.search, number) for number in range(int(wildcards.generation))]
        return [files.scores if looks else files.population for files in earlier]

    def all_scores(self, wildcards: Any) -> list[Path]:
        """Returns the scores of all generations of a search."""
        return [self._layout.generation(wildcards.search, number).scores for number in self.generations]

    def all_timings(self, wildcards: Any) -> list[Path]:
        """Returns what the candidates of all generations of a search took."""
        return [self._layout.generation(wildcards.search, number).timing for number in self.generations]

    def supernet(self) -> list[Path]:
        """Returns the supernet, where candidates inherit from it."""
        return [self._layout.supernet.weights] if self._config["supernet"]["enabled"] else []

    def latencies(self, *, for_tables: bool = False) -> list[Path]:
        """Returns the table of latencies, if time counts or is limited; for tables of results whenever there is one."""
        named = self._config["search"].get("latency_table")
        return [Path(named)] if named and (for_tables or looks_at_latency(self._config)) else []

    def found_genome(self, wildcards: Any) -> list[Path]:
        """Returns the file with a search's best genome, where a row takes it from there."""
        return self.genome_file(wildcards.model)

    def genome_file(self, model: str) -> list[Path]:
        """Returns the same for a row by its name."""
        row = self._config["models"][model]
        if "control" in row:
            return [self._layout.control(model)]
        return [self._found(model)] if "search" in row else []

    def teacher(self, wildcards: Any) -> list[Path]:
        """Returns the network from whose answers a row's training learns: the teacher's of the same number."""
        teacher = teacher_of(self._config, wildcards.model)
        return [] if teacher is None else [self._layout.training(teacher, wildcards.seed).weights]

    def controlled_genome(self, wildcards: Any) -> Path:
        """Returns the file with the genome that a control is chosen for."""
        return self._found(self._config["models"][wildcards.model]["of"])

    def _found(self, model: str) -> Path:
        if chosen_anew(self._config, model):
            return self._layout.finalists(model).found
        return self._layout.search(self._config["models"][model]["search"]).best

    def histories(self, wildcards: Any) -> list[Path]:
        """Returns the scored candidates of every run of the search that a row comes from."""
        return [self._layout.search(run).history for run in self.runs(wildcards.model)]

    def runs(self, model: str) -> list[str]:
        """Returns the runs of the search that a row comes from."""
        return runs_of(self._config, self._config["models"][model]["search"])

    def rescored(self, wildcards: Any) -> list[Path]:
        """Returns the finalists' new scores; none if there are no finalists."""
        repeated = self._layout.finalists(wildcards.model).repeated
        return [repeated(number) for number in range(1, self.rescorings + 1)]

    @property
    def rescorings(self) -> int:
        """How often each finalist is trained anew."""
        search = self._config["search"]
        return int(search["rescorings"]) if search["finalists"] else 0

    @property
    def finalist_timings(self) -> list[Path]:
        """Returns what the finalists of every searched row took, in each repetition."""
        rows, numbers = self.searched, range(1, self.rescorings + 1)
        return [self._layout.finalists(model).repeated_timing(number) for model in rows for number in numbers]

    @property
    def searched(self) -> list[str]:
        """The rows whose genome a search found."""
        return searched(self._config)

    @property
    def images(self) -> list[Path]:
        """The prepared train images, with which the test images come, where both have to be made again though all
        that comes of them is there.

        They may have been deleted for want of space, or since the images were edited: Snakemake asks for no file again
        that something up to date was made from.
        """
        gone = not (self._layout.train.exists() and self._layout.test.exists())
        return [self._layout.train] if gone and not are_the_same(self._config, self._layout) else []

    @property
    def found(self) -> list[Path]:
        """Returns what was found for each of them."""
        return [self._found(model) for model in self.searched]

    @property
    def sample_scores(self) -> list[Path]:
        """The scores of the genomes that the proxy is judged on, from each repetition."""
        return [self._layout.sample.scores(number) for number in range(self._sampled("scores"))]

    @property
    def sample_trained(self) -> list[Path]:
        """The accuracies of the same genomes when trained in full, from each repetition."""
        return [self._layout.sample.trained(number) for number in range(self._sampled("trainings"))]

    @property
    def sample_timings(self) -> list[Path]:
        """Returns what all of that took."""
        scored = [self._layout.sample.scores_timing(number) for number in range(self._sampled("scores"))]
        return scored + [self._layout.sample.trained_timing(number) for number in range(self._sampled("trainings"))]

    def _sampled(self, what: str) -> int:
        return int(self._config["proxy"].get(what, 1)) if samples(self._config) else 0

    @property
    def controls(self) -> str:
        """The rows that are controls, as a pattern for their names."""
        return "|".join(name for name, row in self._config["models"].items() if "control" in row) or "none"

    @property
    def chosen(self) -> tuple[list[str], list[str]]:
        """Returns the rows that are controls, and the files with their genomes."""
        names = [name for name, row in self._config["models"].items() if "control" in row]
        return names, [str(self._layout.control(name)) for name in names]

    @property
    def trainings(self) -> list[str]:
        """Returns what identifies the trainings of all rows: each row's name and seed."""
        return [f"{model}:{seed}" for seed in self.seeds for model in self._config["models"]]

    def of_every_training(self, pattern: Path) -> list[str]:
        """Returns a file of each row and seed, in the order of ``trainings``."""
        return [str(pattern).format(model=m, seed=s) for m, s in (name.split(":") for name in self.trainings)]

    def of_every_search(self, pattern: Path) -> list[str]:
        """Returns a file of each search, in the configuration's order."""
        return [str(pattern).format(search=search) for search in self._config["searches"]]
