"""Sections of the configuration as flags of the steps' commands.

A rule's params hold the flags of its own command and nothing else, so that it runs again exactly when something that it
depends on has changed. What has no influence on results (``run``, ``keeping``) stands in a command but in no params.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline import METHOD_VERSION
from pipeline.common.registry import Registry
from pipeline.common.settings import defaults_of, flags
from pipeline.data.datasets import DATASETS
from pipeline.networks.architectures import ARCHITECTURES
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
from pipeline.networks.genome import format_genome
from pipeline.networks.spec import PUBLISHED_WIDTH, architecture
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.choice import SCORE
from pipeline.search.early_stopping import EarlyStopping
from pipeline.search.objectives import DEFAULT as OBJECTIVE
from pipeline.search.objectives import OBJECTIVES, configured, objective_flags
from pipeline.search.space import Budget
from pipeline.training.settings import ANSWERED_IN, OFF, ExecutionSettings, TrainingSettings
from pipeline.workflow.asked import asked_of_row, asked_of_rows, asked_of_supernet
from pipeline.workflow.counting import cost_words
from pipeline.workflow.layout import Layout
from pipeline.workflow.models import genome_of, objective_section
from pipeline.workflow.proxy import samples
from pipeline.workflow.recipes import recipe_of
from pipeline.workflow.settings import DatasetSettings
from pipeline.workflow.sources import FlagWords, Sources


def optional_flag(flag: str, files: Iterable[str]) -> str:
    """Returns a flag with its files; nothing where there are none.

    >>> optional_flag("--best", ["a.json", "b c.json"]), optional_flag("--best", [])
    ("--best a.json 'b c.json'", '')
    """
    return f"{flag} {shlex.join(named)}" if (named := list(files)) else ""


def labelled(flag: str, labels: Iterable[str], files: Sequence[str]) -> str:
    """Returns a flag with its files and what each of them is about; nothing where there are none.

    >>> labelled("--scores", ["A", "B"], ["a.csv", "b.csv"])
    '--scores A=a.csv B=b.csv'
    """
    return optional_flag(flag, [f"{label}={file}" for label, file in zip(labels, files, strict=True)])


def _path(path: str | None) -> list[str]:
    """Returns the flag of a folder of images; in one word if the folder's name could be taken for another flag."""
    if path is None:
        return []
    return [f"--path={path}"] if path.startswith("-") else ["--path", path]


#: The random search was always called with the evolution's settings as well, of which it takes no notice. With other
#: flags, every search that was made before would be made again.
_CALLED_AS = {"random": "evolution"}
#: What proposals that look at no score are called with.
_NO_OBJECTIVE = "--lambda 0"


def _with_sources(method: str, *parts: tuple[Registry, str]) -> str:
    """Adds the sources of registered parts that have changed since results began to carry them."""
    changed = [f"{registry.kind} {digest}" for registry, name in parts if (digest := registry.changed(name))]
    return ", ".join([method, *changed])


def _recipe(section: Mapping[str, Any]) -> str:
    """Returns a training's flags, without those that came later than the first results and are off."""
    on = {key: value for key, value in section.items() if key not in OFF or value != OFF[key]}
    return flags(TrainingSettings, on)


def _asked(values: Mapping[str, Any]) -> str:
    return f"--asked {shlex.quote(json.dumps(values))}"


class Flags:
    """The flags that an experiment's commands are called with."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._layout = Layout.of(config["experiment"])
        self._processes: int = config["execution"]["processes"]
        self._sources = Sources(config)

    @property
    def method(self) -> str:
        """Changes when the code computes something else, or a network's module lists other layers."""
        return f"method {METHOD_VERSION}, layers {architecture(self._config['network']['name'])}"

    @property
    def training_method(self) -> str:
        """Returns the same for what is trained, where the binariser counts too."""
        return _with_sources(self.method, (BINARISERS, self._config["network"]["binariser"]))

    @property
    def counting_method(self) -> str:
        """Returns the same for what networks cost, where all that their module says counts."""
        return _with_sources(self.method, (ARCHITECTURES, self._config["network"]["name"]))

    def proposal_method(self, search: str) -> str:
        """Returns the same for what a search proposes, where its algorithm counts, and its objective if it looks at
        scores.
        """
        section = self._config["searches"][search]
        parts = [(ALGORITHMS, section["algorithm"])]
        if ALGORITHMS[section["algorithm"]].LOOKS_AT_SCORES:
            parts.append((OBJECTIVES, section.get("objective", OBJECTIVE)))
        return _with_sources(self.counting_method, *parts)

    def network_source(self) -> dict[str, str]:
        """Returns a parameter for all that a network's module says, such as what is counted of it, for rules that show
        costs: if that has changed since results began to carry it.
        """
        changed = ARCHITECTURES.changed(self._config["network"]["name"])
        return {"source": changed} if changed else {}

    def dataset_source(self) -> dict[str, str]:
        """Returns a parameter for how images are read, if that has changed since results began to carry it."""
        changed = DATASETS.changed(self._config["dataset"]["name"])
        return {"source": changed} if changed else {}

    def dataset(self) -> str:
        """Returns what is prepared, and how."""
        dataset = self._config["dataset"]
        words = [
            *shlex.split(flags(DatasetSettings, {**defaults_of(DatasetSettings), **dataset, "path": None})),
            "--seed",
            self._config["seed"],
        ]
        there = self._sources.state
        key = ["--sources", there.key] if there.key else []
        paths = (dataset.get("path"), there.path)
        said, counted = (shlex.join(map(str, [*words, *_path(path), *key])) for path in paths)
        return FlagWords(said, counted)

    def split(self, *, with_held_out: bool = False) -> str:
        """Returns how many images of each class the search uses, and how many are held out if that is wanted or
        concerns it.
        """
        split = self._config["split"]
        words = ["--validation-per-class", split["validation_per_class"], "--seed", self._config["seed"]]
        if split["subset_per_class"] is not None:
            words += ["--subset-per-class", split["subset_per_class"]]
        held_out = split["held_out_per_class"]
        # A subset of all that remains is smaller by what is held out.
        if with_held_out or (held_out and split["subset_per_class"] is None):
            words += ["--held-out-per-class", held_out]
        return shlex.join(map(str, words))

    def network(self) -> str:
        """Returns the network and the width of its layers."""
        network = self._config["network"]
        words = ["--network", network["name"], "--base-width", f"{network['base_width']:g}"]
        binariser = network["binariser"]
        return shlex.join(words + (["--binariser", binariser] if binariser != BINARISER else []))

    def counted_network(self) -> str:
        """Returns the network, what its cost is, and the width at which that is counted if it is another one."""
        base_width = self._config["network"]["base_width"]
        same = self._config["search"]["cost_width"] == base_width
        return self._with_cost(self.network() if same else f"{self.network()} {self.cost_width()}")

    def _with_cost(self, words: str, *, for_tables: bool = False) -> str:
        """Adds what cost is. A table of latencies counts by its digest: the same one in another place is no other."""
        said, counted = cost_words(self._config, for_tables=for_tables)
        return FlagWords(f"{words} {said}", f"{words} {counted}") if said else words

    def cost_width(self) -> str:
        """Returns the width at which a genome's cost is counted."""
        return f"--cost-width {self._config['search'].get('cost_width', PUBLISHED_WIDTH):g}"

    def training(self, section: str) -> str:
        """Returns the recipe of the supernet, of a candidate or of the retraining."""
        return _recipe(self._config[section])

    def row_training(self, model: str, teacher: Iterable[str]) -> str:
        """Returns the recipe of a row, and the file of the network from which it learns if it has a teacher."""
        recipe, taught = recipe_of(self._config, model), optional_flag("--teacher", teacher)
        return f"{_recipe(recipe)} {taught} --teacher-weight {recipe['teacher_weight']}" if taught else _recipe(recipe)

    def asked_of_row(self, model: str) -> str:
        """Returns what a row's networks must have been trained with, by which weights of others are noticed."""
        return _asked(asked_of_row(self._config, model))

    def asked_of_rows(self) -> str:
        """Returns what all rows' networks must have been trained with."""
        return _asked(asked_of_rows(self._config))

    def supernet(self, files: Sequence[str]) -> str:
        """Returns the supernet and what it must have been trained with; nothing where there is none."""
        asked = shlex.quote(json.dumps(asked_of_supernet(self._config)))
        return f"{optional_flag('--supernet', files)} --supernet-asked {asked}" if files else ""

    def recalibrate(self, *, early_stopping: bool = False) -> str:
        """Returns whether batch-norm moments are computed anew before a candidate is scored; and when it is scored a
        first time, for candidates of which that is asked.
        """
        words = ["--recalibrate"] if self._config["candidate"].get("recalibrate") else []
        epochs = self._config["search"]["early_stop_epochs"] if early_stopping else None
        return " ".join([*words, *([] if epochs is None else [f"--early-stop-epochs {epochs}"])])

    def execution(self) -> str:
        """Returns device, precision, kernels and threads, which can change a result's last digits."""
        return flags(ExecutionSettings, self._config["execution"])

    def answered_in(self) -> dict[str, str]:
        """Returns a parameter for the precision in which test images are answered, where that may be another one than
        the trainings': earlier versions answered in theirs.
        """
        return {} if self._config["execution"]["precision"] == ANSWERED_IN else {"answered_in": ANSWERED_IN}

    def shared_execution(self) -> str:
        """Returns the same for a training whose steps several processes can take together; one process needs no
        flag.
        """
        return self.execution() + (f" --processes {self._processes}" if self._processes > 1 else "")

    def run(self) -> str:
        """Returns how images are loaded, and where it is settled what to compute with: results made before stay."""
        loaders = self._config["execution"]["loaders"]
        return f"--loaders {loaders} --arithmetic {self._layout.arithmetic}"

    def keeping(self) -> str:
        """Returns what a training in full leaves on disk beside its outputs."""
        minutes = self._config["execution"]["save_minutes"]
        return f"--save-minutes {minutes} --finished {self._layout.trainings}"

    def ratios(self) -> str:
        """Returns the values that a gene can take."""
        return "--ratios " + " ".join(f"{ratio:g}" for ratio in self._config["search"]["ratios"])

    def proposal(self, search: str) -> str:
        """Returns how a search proposes genomes. Its objective counts only if the algorithm looks at scores."""
        section = self._config["searches"][search]
        values = {**self._config["search"], **section}
        own = ALGORITHMS[_CALLED_AS.get(section["algorithm"], section["algorithm"])].Settings
        words = [f"--algorithm {section['algorithm']}", flags(own, values), flags(Budget, values)]
        if values["early_stop_epochs"] is not None:
            words.append(flags(EarlyStopping, values))
        objective = objective_flags(section) if ALGORITHMS[section["algorithm"]].LOOKS_AT_SCORES else _NO_OBJECTIVE
        words += [f"--seed {section.get('seed', self._config['seed'])}", objective]
        return " ".join(filter(None, words))

    def objective(self, search: str) -> str:
        """Returns what a search looks for."""
        return objective_flags(self._config["searches"][search])

    def objective_identity(self, search: str) -> Any:
        """Returns what scores depend on: the objective, its settings, its source; λ alone for the paper's own."""
        return self._identity(self._config["searches"][search])

    def found_objective(self, model: str) -> str:
        """Returns by what the genome of a searched row is chosen among its search's candidates."""
        return f"{objective_flags(objective_section(self._config, model))} {self._chosen_by}".strip()

    def found_objective_identity(self, model: str) -> Any:
        """Returns what that choice depends on, as :meth:`objective_identity`."""
        identity = self._identity(objective_section(self._config, model))
        return f"{identity} {self._chosen_by}" if self._chosen_by else identity

    @property
    def _chosen_by(self) -> str:
        chosen_by = self._config["search"].get("chosen_by", SCORE)
        return "" if chosen_by == SCORE else f"--chosen-by {chosen_by}"

    def _identity(self, section: Mapping[str, Any]) -> Any:
        name = section.get("objective", OBJECTIVE)
        changed = OBJECTIVES.changed(name)
        if name == OBJECTIVE and not changed:
            return section.get("lambda", configured(section).settings.penalty)
        return f"{objective_flags(section)} {changed}".strip()

    def genome(self, model: str) -> str:
        """Returns a row's genome, where the configuration gives it; a search's genome is an input file instead."""
        row = self._config["models"][model]
        precision = "" if row.get("binary", True) else " --full-precision"
        return f"--genome {format_genome(genome_of(self._config, model))}{precision}" if "genome" in row else precision

    def _given(self, model: str) -> str:
        """Returns a row and the genome that the configuration gives it, in a word."""
        precision = "" if self._config["models"][model].get("binary", True) else ":full-precision"
        return f"{model}={format_genome(genome_of(self._config, model))}{precision}"

    def control(self, model: str) -> str:
        """Returns what a control has in common with the row that it controls."""
        return f"--control {self._config['models'][model]['control']}"

    def finalists(self) -> str:
        """Returns how many of a search's best are scored anew."""
        return f"--finalists {self._config['search'].get('finalists', 0)}"

    def budget(self) -> str:
        """Returns what no genome may exceed."""
        return flags(Budget, self._config["search"])

    def sample(self) -> str:
        """Returns how many random genomes the proxy is judged on."""
        return f"--genomes {samples(self._config)} --seed {self._config['seed']}"

    def _judged(self, model: str, algorithm: str) -> dict[str, Any]:
        """Returns a searched row's algorithm, with the objective by which its genome is chosen."""
        return {**objective_section(self._config, model), "algorithm": algorithm}

    def measurements(self) -> str:
        """Returns the rows and searches of the tables, in the configuration's order."""
        models, searches = self._config["models"].items(), self._config["searches"].items()
        algorithms = {run.get("run_of", name): run["algorithm"] for name, run in searches}
        rows = [
            f"{model}={_search_words(self._judged(model, algorithms[row['search']]))}" if "search" in row else model
            for model, row in models
        ]
        controls = [f"{model}={row['control']}:{row['of']}" for model, row in models if "control" in row]
        named = (f"{name}={_search_words(section)}" for name, section in searches)
        published = self._config.get("published")
        given = [self._given(model) for model, row in models if "genome" in row]
        words = ["--models", *rows, "--searches", *named, *(["--controls", *controls] if controls else [])]
        words += ["--given", *given] if given else []
        words += ["--published", published] if published else []
        return self._with_cost(f"{shlex.join(words)} {self.cost_width()}", for_tables=True)


def _search_words(section: Mapping[str, Any]) -> str:
    """Returns a search's algorithm and objective in a word, as the steps of the report read it."""
    if section.get("objective", OBJECTIVE) == OBJECTIVE:
        return f"{section['algorithm']}:{configured(section).settings.penalty:g}"
    return f"{section['algorithm']}|{section['objective']}|{flags(OBJECTIVES[section['objective']].Settings, section)}"
