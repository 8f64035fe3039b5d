"""The cost of an experiment, foretold from its configuration and a short timing of the machine: no files, no torch.

It climbs from the time of one training step, fitted to a few that were timed, to the time of a job, and from all jobs
and what they wait for to the hours of the whole experiment on so many cores.

>>> jobs = [Job("a", 2.0), Job("b", 3.0), Job("b", 3.0, needs=(0,))]
>>> [tuple(span) for span in schedule(jobs, cores=2)]
[(0.0, 2.0), (0.0, 3.0), (2.0, 5.0)]
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from pipeline.common.handover import is_possible
from pipeline.common.settings import from_mapping
from pipeline.networks.genome import Genome
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.algorithms import ALGORITHMS, propose, stops_early
from pipeline.search.individual import Individual
from pipeline.search.sample import spread_over_cost
from pipeline.search.shards import balance, predicted_cost
from pipeline.search.space import Budget, SearchSpace, search_space
from pipeline.training.settings import TrainingSettings
from pipeline.workflow.counting import counting_of
from pipeline.workflow.forecast.schedule import Job, schedule
from pipeline.workflow.forecast.step_time import Calibration, workload
from pipeline.workflow.models import chosen_anew, genome_of, runs_of, search_of, searched
from pipeline.workflow.proxy import samples, trains_supernet
from pipeline.workflow.recipes import recipe_of, teacher_of
from pipeline.workflow.workers import workers

#: What Snakemake itself adds to a job: planning it, starting its shell, looking at its files.
_PER_JOB = 0.03
#: Times that a step with real weights takes as long as one with binary ones where compiled kernels compute only these.
_REAL_WEIGHTS = 2.1
#: Bytes that a training keeps of each element of a feature map, and of each parameter (itself, its binarised copy, its
#: gradient, its momentum).
_PER_ELEMENT, _PER_PARAMETER = 12, 16
#: Bytes of a small file, and of figures and report.
_FILE_BLOCK, _REPORT = 4096, 4e6


@dataclass(frozen=True)
class Images:
    """How many images take part, and what each takes on disk and in memory.

    Attributes:
        train, test: of the data set.
        subset, validation: of the search.
        disk_bytes: of a prepared image.
        memory_bytes: of an image that a training holds; 0 where it decodes them.
    """

    train: int
    test: int
    subset: int
    validation: int
    disk_bytes: float
    memory_bytes: float


class Stage(NamedTuple):
    """A part of the experiment: how many jobs, their seconds times their cores, and when it begins and ends."""

    name: str
    jobs: int
    core_seconds: float
    begins: float
    ends: float


@dataclass(frozen=True)
class Forecast:
    """The foretold cost of an experiment.

    Attributes:
        stages: in the order in which they begin.
        seconds: from the command to the last table.
        process_bytes: memory of the largest process.
        side_by_side: how many processes may be as large at a time.
        disk_bytes: of everything that it leaves behind.
    """

    stages: list[Stage]
    seconds: float
    process_bytes: float
    side_by_side: int
    disk_bytes: float

    @property
    def jobs(self) -> int:
        """As Snakemake counts them, its target included."""
        return sum(stage.jobs for stage in self.stages) + 1

    @property
    def memory_bytes(self) -> float:
        """The memory of all processes that may run at a time."""
        return self.process_bytes * self.side_by_side


def configured_space(config: Mapping[str, Any], spec: NetworkSpec) -> SearchSpace:
    """Returns the genomes that a configuration's searches may propose."""
    search = config["search"]
    counted = spec.at_width(search["cost_width"])
    return search_space(counted, search["ratios"], from_mapping(Budget, search), counting_of(config))


def forecast(
    config: Mapping[str, Any], spec: NetworkSpec, images: Images, calibration: Calibration, cores: int
) -> Forecast:
    """Returns the cost of a whole experiment from nothing.

    Every generation is taken to hold what a random search of the same seed would propose. For a random search, and for
    the first generation of an evolution, that is exact. Later generations of an evolution whose λ asks for cheap
    networks take less, so their time is an upper estimate, as is that of retraining what was found.

    Args:
        config: checked.
        spec: the network, with any genome, and the images' shape.
        images: how many there are.
        calibration: what was timed here.
        cores: of the whole run.
    """
    jobs = jobs_of(config, spec, images, calibration, cores)
    spans = schedule(jobs, cores, calibration.gpus)
    names = list(dict.fromkeys(job.stage for job in jobs))
    stages = []
    for name in names:
        mine = [(job, span) for job, span in zip(jobs, spans, strict=True) if job.stage == name]
        work = sum(job.seconds * min(job.threads, cores) for job, _ in mine)
        begins, ends = min(span.start for _, span in mine), max(span.end for _, span in mine)
        stages.append(Stage(name, len(mine), work, begins, ends))
    process, side_by_side = _memory(config, spec, images, calibration, cores)
    seconds = calibration.snakemake_start + max(span.end for span in spans)
    return Forecast(stages, seconds, process, side_by_side, _disk(config, spec, images))


def jobs_of(
    config: Mapping[str, Any], spec: NetworkSpec, images: Images, calibration: Calibration, cores: int
) -> list[Job]:
    """Returns the jobs of a whole experiment from nothing, each behind those that it needs. Arguments as for
    :func:`forecast`.
    """
    return _Jobs(config, spec, images, calibration, cores).all()


class _Jobs:
    """The jobs of an experiment, as the rules of the workflow make them."""

    def __init__(
        self, config: Mapping[str, Any], spec: NetworkSpec, images: Images, calibration: Calibration, cores: int
    ) -> None:
        self._config, self._spec, self._images, self._here = config, spec, images, calibration
        self._cores = cores
        self._threads = config["execution"]["threads"]
        self._processes = config["execution"]["processes"]
        self._workers = workers(config, cores, calibration.gpus)
        self._loaders = config["execution"]["loaders"]
        #: Of a step that starts as a child of the fork server; None where it does so by itself.
        self._warm = calibration.warm_start if is_possible() and not calibration.gpus else None
        self._light = calibration.light_start if self._warm is None else self._warm
        self._jobs: list[Job] = []
        self._genomes: dict[str, list[Genome]] = {}  # that a search is taken to propose
        self._trained: dict[str, tuple[int, ...]] = {}  # the trainings of each row

    def all(self) -> list[Job]:
        """Returns every job, each behind those that it needs."""
        here, images = self._here, self._images
        threads = min(4, self._cores)
        prepared = self._add(
            "prepare",
            here.figures_start + (images.train + images.test) * here.read / threads,
            threads,
            priority=100,
            rule="prepare_dataset",
        )
        first = []
        if self._config["searches"]:
            first.append(self._add("prepare", self._light, needs=(prepared,), priority=100, rule="sample_subset"))
        if trains_supernet(self._config):
            genome = uniform_genome(self._spec.network, max(self._config["search"]["ratios"]))
            start = self._start(self._processes * self._threads)
            seconds = start + self.training("supernet", self._spec.with_genome(genome), images.subset)
            first.append(self._add_shared("supernet", seconds, tuple(first), 100, rule="pretrain_supernet"))
        best = {name: self._search(name, prepared, tuple(first)) for name in self._config["searches"]}
        held_out: tuple[int, ...] = ()
        if samples(self._config) or (self._config["search"]["finalists"] and searched(self._config)):
            held_out = (self._add("prepare", self._light, needs=(prepared,), priority=100, rule="hold_out"),)
        found = {model: self._find(model, tuple(first), held_out, best) for model in searched(self._config)}
        rows = self._config["models"]
        teachers = {teacher_of(self._config, model) for model in rows}
        # A pupil's training waits for its teacher's of the same number.
        evaluations = [self._row(model, prepared, found) for model in sorted(rows, key=lambda row: row not in teachers)]
        done = (*evaluations, *best.values(), *self._judge_proxy(prepared, tuple(first), held_out))
        # Drawing takes about as long as its imports.
        drawn: tuple[int, ...] = (
            self._add("tables", self._light, needs=done, rule="tables"),
            self._add("tables", 2 * here.figures_start, needs=done, rule="figures"),
        )
        if self._config["inference"]["measure"]:
            threads = self._config["inference"]["threads"]
            drawn = (*drawn, self._add("tables", self._start(threads), needs=drawn, rule="measure_inference"))
        self._add("tables", 2 * here.figures_start, needs=drawn, rule="write_report")
        return self._jobs

    def _add(
        self,
        stage: str,
        seconds: float,
        threads: int = 1,
        needs: tuple[int, ...] = (),
        priority: int = 0,
        gpus: int = 0,
        *,
        rule: str,
        of: str = "",
    ) -> int:
        gpus = gpus if self._here.gpus else 0
        self._jobs.append(Job(stage, seconds + _PER_JOB, threads, needs, priority, gpus, rule, of))
        return len(self._jobs) - 1

    def _add_shared(
        self, stage: str, seconds: float, needs: tuple[int, ...], priority: int = 0, *, rule: str, of: str = ""
    ) -> int:
        """Returns a training whose steps several processes may take together, each on its own GPU or its own
        threads.
        """
        threads = self._processes * self._threads
        return self._add(stage, seconds, threads, needs, priority, self._processes, rule=rule, of=of)

    def training(self, section: str, spec: NetworkSpec, images: int, recipe: Mapping[str, Any] | None = None) -> float:
        """Returns seconds of a whole training by the recipe of a section, or by a row's own."""
        settings: TrainingSettings = from_mapping(TrainingSettings, recipe or self._config[section])
        batch = min(settings.batch_size, images)
        share = batch // (1 if section == "candidate" else self._processes)
        step, epochs = self._here.step.seconds(workload(spec), share), float(settings.epochs)
        if spec.binary and not self._here.gpus and self._config["execution"]["kernels"] != "torch":
            epochs += (_REAL_WEIGHTS - 1) * settings.real_weight_epochs
        return self._here.setup + epochs * (images // batch) * self._with_decoding(step, share)

    def _start(self, threads: int) -> float:
        """Returns seconds until a step that trains, of so many threads, has begun to."""
        return self._here.heavy_start if self._warm is None or threads > 1 else self._warm

    def scoring(self, spec: NetworkSpec, images: int) -> float:
        """Returns seconds to score a network."""
        return self._with_decoding(self._here.scoring.seconds(workload(spec), images), images)

    def _with_decoding(self, seconds: float, images: int) -> float:
        decoding = self._here.decode * images
        return max(seconds, decoding / self._loaders) if self._loaders else seconds + decoding

    def candidate(self, genome: Genome) -> float:
        """Returns seconds to train and score one candidate."""
        spec = self._spec.with_genome(genome)
        return self.training("candidate", spec, self._images.subset) + self._scoring_candidate(spec)

    def _scoring_candidate(self, spec: NetworkSpec, *, recalibrated: bool | None = None) -> float:
        """Returns seconds to score a candidate, and to compute its moments anew before if that is asked for."""
        again = self._config["candidate"]["recalibrate"] if recalibrated is None else recalibrated
        moments = self.scoring(spec, self._images.subset) if again else 0.0
        return moments + self.scoring(spec, self._images.validation)

    def _searched(self, algorithm: str, generation: int) -> Callable[[Genome], float]:
        """Returns what gives the seconds of a candidate in a generation of a search. If candidates are stopped early,
        as many as are kept are taken to go on.
        """
        search, epochs = self._config["search"], self._config["candidate"]["epochs"]
        early, keep = search["early_stop_epochs"], search["early_stop_keep"]
        if early is None:
            return self.candidate
        goes_on = keep if generation and stops_early(algorithm) else 1.0
        share: float = goes_on + (1 - goes_on) * early / epochs

        def seconds(genome: Genome) -> float:
            spec = self._spec.with_genome(genome)
            scoring = self._scoring_candidate(spec, recalibrated=True) + goes_on * self._scoring_candidate(spec)
            return share * self.training("candidate", spec, self._images.subset) + scoring

        return seconds

    def _search(self, name: str, prepared: int, first: tuple[int, ...]) -> int:
        """Adds all generations of a search. Returns the job that selects the best."""
        search, section = self._config["search"], self._config["searches"][name]
        seed = section.get("seed", self._config["seed"])
        space = configured_space(self._config, self._spec)
        settings = from_mapping(ALGORITHMS["random"].Settings, {**search, **section})
        stage = f"search {name}"
        shards, waits = search["shards"], ALGORITHMS[section["algorithm"]].LOOKS_AT_SCORES
        history: list[list[Individual]] = []
        before: tuple[int, ...] = (prepared,)
        scored = []
        for generation in range(search["generations"]):
            genomes = [child.genome for child in propose("random", space, settings, history, seed, generation)]
            history.append([Individual(genome, None, 0.0) for genome in genomes])
            proposed = self._add(stage, self._light, needs=before, priority=90, rule="propose_generation", of=name)
            costs = [predicted_cost(self._spec.with_genome(genome)) for genome in genomes]
            evaluated, seconds = [], self._searched(section["algorithm"], generation)
            for shard in balance(costs, shards):
                members = [genomes[slot] for slot in shard]
                needs = (proposed, *first)
                rule = "evaluate_generation" if waits else "evaluate_free_generation"
                priority = 80 if waits else 70
                evaluated.append(self._add_candidates(stage, members, needs, priority, seconds, rule=rule, of=name))
            needs = tuple(evaluated)
            scored.append(self._add(stage, self._light, needs=needs, priority=90, rule="score_generation", of=name))
            before = (scored[-1],) if waits else (proposed,)
        self._genomes[name] = [individual.genome for individuals in history for individual in individuals]
        return self._add(stage, self._light, needs=tuple(scored), priority=90, rule="select_best", of=name)

    def _add_candidates(
        self,
        stage: str,
        genomes: Sequence[Genome],
        needs: tuple[int, ...],
        priority: int = 80,
        seconds: Callable[[Genome], float] | None = None,
        *,
        rule: str,
        of: str = "",
    ) -> int:
        """Adds a job that evaluates candidates, the longest first, by its workers."""
        seconds = seconds or self.candidate
        loads = [0.0] * max(1, min(self._workers, len(genomes)))
        for genome in genomes:
            heapq.heapreplace(loads, loads[0] + seconds(genome))
        threads = self._workers * self._threads
        # The processes of several workers import torch themselves; on a GPU they take turns in the job's own.
        alone = len(loads) == 1 or bool(self._here.gpus)
        starts = self._start(threads) if alone else self._light + self._here.heavy_start
        return self._add(stage, starts + max(loads), threads, needs, priority, gpus=1, rule=rule, of=of)

    def _judge_proxy(self, prepared: int, first: tuple[int, ...], held_out: tuple[int, ...]) -> tuple[int, ...]:
        """Adds the jobs that score a sample of genomes as candidates and train it in full."""
        count, proxy, stage = samples(self._config), self._config["proxy"], "proxy"
        if not count:
            return ()
        space = configured_space(self._config, self._spec)
        genomes = spread_over_cost(space, count, lambda genome: sum(genome), Random(0))
        sampled = self._add(stage, self._light, needs=(prepared,), rule="sample_genomes")
        scored = [
            self._add_candidates(stage, genomes, (sampled, *first), 60, rule="score_sample")
            for _ in range(proxy["scores"])
        ]
        trained = [
            self._add_candidates(stage, genomes, (sampled, *held_out), 60, self._trained_in_full, rule="train_sample")
            for _ in range(proxy["trainings"])
        ]
        return (*scored, *trained)

    def _trained_in_full(self, genome: Genome) -> float:
        """Returns seconds to train one genome of the sample in full, and to score it."""
        spec = self._spec.with_genome(genome)
        return self.training("retrain", spec, self._images.train) + self.scoring(spec, self._images.validation)

    def _find(self, model: str, first: tuple[int, ...], held_out: tuple[int, ...], best: Mapping[str, int]) -> int:
        """Adds the jobs that score the finalists of a row's search anew. Returns the job that says what was
        found.
        """
        search, row = self._config["search"], self._config["models"][model]
        stage, runs = "finalists", runs_of(self._config, row["search"])
        needs = tuple(best[run] for run in runs)
        if not chosen_anew(self._config, model):
            return needs[0]
        if search["finalists"]:
            genomes = self._proposed(row["search"])
            # Genomes as costly as those of the search; each run's best is mostly among the best of all.
            finalists = genomes[:: max(1, len(genomes) // search["finalists"])][: search["finalists"]]
            chosen = self._add(stage, self._light, needs=needs, priority=90, rule="choose_finalists", of=model)
            needs = tuple(
                self._add_candidates(
                    stage, finalists, (chosen, *first, *held_out), 90, rule="evaluate_finalists", of=model
                )
                for _ in range(search["rescorings"])
            )
        return self._add(stage, self._light, needs=needs, priority=90, rule="select_found", of=model)

    def _proposed(self, search: str) -> list[Genome]:
        """Returns the genomes that all runs of a search are taken to propose."""
        return [genome for run in runs_of(self._config, search) for genome in self._genomes[run]]

    def _row(self, model: str, prepared: int, found: Mapping[str, int]) -> int:
        """Adds the trainings of a row of the table. Returns the job that evaluates them."""
        row, images = self._config["models"][model], self._images
        search = search_of(self._config, model)
        # A control costs what the found network costs.
        genomes = [genome_of(self._config, model)] if search is None else self._proposed(search)
        needs = (prepared,) if search is None else (prepared, found[row.get("of", model)])
        if "control" in row:
            needs = (prepared, self._add("retrain", self._light, needs=needs, rule="choose_control", of=model))
        specs = [self._spec_of(genome, row.get("binary", True)) for genome in genomes]
        recipe = recipe_of(self._config, model)
        teacher = teacher_of(self._config, model)
        learning = self._answering(teacher, images.train * recipe["epochs"])
        trainings = [self.training("retrain", spec, images.train, recipe) + learning for spec in specs]
        scorings = [self.scoring(spec, images.test) for spec in specs]
        seeds = self._config["retrain"]["seeds"]
        threads = self._threads
        start = self._start(self._processes * threads)
        taught_by = [(training,) for training in self._trained[teacher]] if teacher else [()] * seeds
        trained = tuple(
            self._add_shared("retrain", start + _mean(trainings), (*needs, *taught), rule="retrain", of=model)
            for taught in taught_by
        )
        self._trained[model] = trained
        seconds = self._start(threads) + seeds * _mean(scorings)
        return self._add("evaluate", seconds, threads, trained, gpus=1, rule="evaluate", of=model)

    def _answering(self, teacher: str | None, images: int) -> float:
        """Returns seconds that a row's teacher, if it has one, takes to answer images."""
        if teacher is None:
            return 0.0
        return self._here.scoring.seconds(workload(self._spec_of(genome_of(self._config, teacher), False)), images)

    def _spec_of(self, genome: Genome, binary: bool) -> NetworkSpec:
        return replace(self._spec, genome=genome, binary=binary)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _memory(
    config: Mapping[str, Any], spec: NetworkSpec, images: Images, calibration: Calibration, cores: int
) -> tuple[float, int]:
    """Returns bytes of the largest process, and how many processes there are at a time."""
    largest = uniform_genome(spec.network, max(config["search"]["ratios"]))
    trainings: list[tuple[str, Mapping[str, Any], Genome, int]] = [
        (section, config[section], largest, images.subset) for section in ("candidate", "supernet")
    ]
    trainings += [
        ("retrain", recipe_of(config, m), genome_of(config, m) if "genome" in row else largest, images.train)
        for m, row in config["models"].items()
    ]
    space = configured_space(config, spec)
    needed = []
    for section, recipe, genome, count in trainings:
        if section == "supernet" and not trains_supernet(config):
            continue
        if section == "candidate" and not space.within_budget(genome):
            continue  # the supernet, or an allowed genome, is what counts
        layers = spec.with_genome(genome).layers
        batch = min(recipe["batch_size"], count)
        maps = batch * sum(layer.elements for layer in layers) * _PER_ELEMENT
        one = maps + sum(layer.weights for layer in layers) * _PER_PARAMETER
        # On a GPU, candidates take turns in one process.
        together = workers(config, cores, calibration.gpus) if section == "candidate" and calibration.gpus else 1
        needed.append(together * one + count * images.memory_bytes)
    side_by_side = max(1, cores // config["execution"]["threads"])
    if calibration.gpus:
        side_by_side = min(side_by_side, calibration.gpus)
    return calibration.process_bytes + max(needed, default=0.0), side_by_side


def _disk(config: Mapping[str, Any], spec: NetworkSpec, images: Images) -> float:
    """Returns bytes under the experiment's folder of results, when all is done."""
    search, largest = config["search"], uniform_genome(spec.network, max(config["search"]["ratios"]))

    def weights(genome: Genome) -> float:
        return 4.0 * sum(layer.weights for layer in spec.with_genome(genome).layers)

    prepared = (images.train + images.test) * images.disk_bytes
    rows = sum(weights(genome_of(config, m) if "genome" in row else largest) for m, row in config["models"].items())
    networks: float = weights(largest) * trains_supernet(config) + rows * config["retrain"]["seeds"]
    generations = len(config["searches"]) * search["generations"]
    # A candidate has its score and its time in the archive; a generation its tables, a shard two more, and their logs.
    files: int = generations * (2 * search["population"] + 6 + 4 * search["shards"])
    files += len(config["models"]) * config["retrain"]["seeds"] * 6
    return prepared + networks + files * _FILE_BLOCK + _REPORT
