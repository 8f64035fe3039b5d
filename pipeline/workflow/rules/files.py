"""Which files rules take, where that depends on the configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.search.algorithms import ALGORITHMS
from pipeline.workflow.layout import Layout
from pipeline.workflow.proxy import scores_rows, trains_supernet


class Files:
    """The files of an experiment that rules take by number or by name.

    Generations are listed in ascending order: Snakemake's recursion ends at about 160 of them in any other.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._layout = Layout.of(config["experiment"])
        self.seeds = range(config["retrain"]["seeds"])
        self.shards: int = config["search"].get("shards", 1)
        self.generations = range(config["search"]["generations"])
        self.scores_rows, self.trains_supernet = scores_rows(config), trains_supernet(config)

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

    def found_genome(self, wildcards: Any) -> list[Path]:
        """Returns the file with a search's best genome, where a row takes it from there."""
        row = self._config["models"][wildcards.model]
        if "control" in row:
            return [self._layout.control(wildcards.model)]
        search = row.get("search")
        return [self._layout.search(search).best] if search else []

    def controlled_genome(self, wildcards: Any) -> Path:
        """Returns the file with the genome that a control is chosen for."""
        return self._layout.search(self._config["models"][self._config["models"][wildcards.model]["of"]]["search"]).best

    @property
    def controls(self) -> str:
        """The rows that are controls, as a pattern for their names."""
        return "|".join(name for name, row in self._config["models"].items() if "control" in row) or "none"

    def genomes_of_rows(self) -> list[Path]:
        """Returns the best genomes of the searches that rows come from."""
        rows = self._config["models"].values()
        searches = dict.fromkeys(row["search"] for row in rows if "search" in row)
        return [self._layout.search(search).best for search in searches]

    @property
    def trainings(self) -> list[str]:
        """What identifies the trainings of all rows: each row's name and seed."""
        return [f"{model}:{seed}" for seed in self.seeds for model in self._config["models"]]

    def of_every_training(self, pattern: Path) -> list[str]:
        """Returns a file of each row and seed, in the order of ``trainings``."""
        return [str(pattern).format(model=m, seed=s) for m, s in (name.split(":") for name in self.trainings)]

    def of_every_search(self, pattern: Path) -> list[str]:
        """Returns a file of each search, in the configuration's order."""
        return [str(pattern).format(search=search) for search in self._config["searches"]]
