"""How long a run still takes: what is foretold of its jobs, put right by how long those took that are done.

A run's jobs are of very different lengths, so their number alone says little. The forecast knows of every job how long
it would take on an ordinary machine and what it waits for. Those that are left are laid out once more on the cores that
there are, each as much longer or shorter than foretold as those of its rule have turned out to be.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.workflow.forecast.schedule import Job, schedule

#: Rules that train networks, by which a machine's pace is told; those of others mostly start processes and read files.
_TRAINING = frozenset(
    (
        "pretrain_supernet",
        "evaluate_generation",
        "evaluate_free_generation",
        "evaluate_finalists",
        "score_sample",
        "train_sample",
        "retrain",
    )
)
#: Before anything else.
_RUNNING = 1_000_000
#: Of a job that takes longer than it should, the share that is taken to be left.
_AT_LEAST = 0.1
#: Share of the trainings, in seconds as foretold, that tells how fast they are here.
_KNOWN = 0.02
#: Times as long as foretold that a job which starts a process and reads files is taken to be by those of other rules,
#: since these tell of what was foretold of them as much as of the machine.
_MOST = 2.0
#: Seconds between two layouts of what is left, and how many times as long as one takes.
_EVERY, _TIMES = 0.5, 50.0


@dataclass(frozen=True)
class Plan:
    """The jobs of an experiment from nothing, and what they have on this machine."""

    jobs: Sequence[Job]
    cores: int
    gpus: int = 0


@dataclass
class _Running:
    place: int | None  # None: the forecast knows nothing of it
    rule: str
    since: float


class Remaining:
    """Follows a run and says how long it still takes.

    Args:
        find_plan: returns the plan as soon as it can be known, or None.
        clock: seconds.
    """

    def __init__(self, find_plan: Callable[[], Plan | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._find_plan, self._clock = find_plan, clock
        self._plan: Plan | None = None
        self._to_do: Counter[str] = Counter()
        self._waiting: set[int] = set()
        self._running: dict[Hashable, _Running] = {}
        self._took: dict[str, list[tuple[float, float]]] = {}  # by rule: seconds as foretold and as they were
        self._last: tuple[float, float] | None = None  # when it was laid out, and seconds left
        self._next = 0.0

    def begin(self, to_do: Mapping[str, int]) -> None:
        """Takes in how many jobs of each rule are to be done."""
        self._to_do = Counter(to_do)
        self._lay_plan()

    def start(self, job: Hashable, rule: str, of: str) -> None:
        """Takes in that a job has begun; ``of`` is the search or the row that it is for."""
        self._running[job] = _Running(self._take(rule, of), rule, self._clock())

    def end(self, job: Hashable) -> None:
        """Takes in that a job is done."""
        running = self._running.pop(job, None)
        if running is None:
            return
        self._to_do[running.rule] -= 1
        seconds = self._clock() - running.since
        if running.place is not None and self._plan is not None:
            self._took.setdefault(running.rule, []).append((self._plan.jobs[running.place].seconds, seconds))
        self._lay_plan()

    def seconds(self) -> float | None:
        """Returns how long the run still takes; None as long as nothing is known."""
        now = self._clock()
        self._lay_plan()
        if self._plan is None:
            return None
        if now >= self._next:
            left = self._laid_out(self._plan, now)
            taken = self._clock() - now
            self._next = now + taken + max(_EVERY, _TIMES * taken)
            self._last = None if left is None else (now, left)
        return None if self._last is None else max(0.0, self._last[1] - (now - self._last[0]))

    def _lay_plan(self) -> None:
        """Asks for the plan unless it is there, and takes those of its jobs as done that the run has not to do, the
        earliest first.
        """
        if self._plan is not None or self._to_do["prepare_dataset"]:
            return
        plan = self._find_plan()
        if plan is None:
            return
        self._plan = plan
        order = sorted(range(len(plan.jobs)), key=[span.start for span in schedule(*_all(plan))].__getitem__)
        to_do = self._to_do.copy()
        for place in reversed(order):
            rule = plan.jobs[place].rule
            if to_do[rule] > 0:
                to_do[rule] -= 1
                self._waiting.add(place)
        for running in self._running.values():
            running.place = self._take(running.rule, "")

    def _take(self, rule: str, of: str) -> int | None:
        """Returns the place of the first job of a rule that waits, if there is one of this search or row."""
        if self._plan is None:
            return None
        places = sorted(place for place in self._waiting if self._plan.jobs[place].rule == rule)
        mine = [place for place in places if self._plan.jobs[place].of == of] or places
        if mine:
            self._waiting.discard(mine[0])
        return mine[0] if mine else None

    def _laid_out(self, plan: Plan, now: float) -> float | None:
        """Returns seconds until all is done; None if it is not known how fast trainings are here."""
        running = {one.place: now - one.since for one in self._running.values() if one.place is not None}
        left = sorted(self._waiting | set(running))
        trained = [pair for rule, pairs in self._took.items() if rule in _TRAINING for pair in pairs]
        to_train = sum(plan.jobs[place].seconds for place in left if plan.jobs[place].rule in _TRAINING)
        if sum(foretold for foretold, _ in trained) < _KNOWN * to_train:
            return None
        other = [pair for rule, pairs in self._took.items() if rule not in _TRAINING for pair in pairs]
        number = {place: position for position, place in enumerate(left)}
        jobs = []
        for place in left:
            job = plan.jobs[place]
            usual = _ratio(trained) if job.rule in _TRAINING else min(_MOST, max(1 / _MOST, _ratio(other)))
            seconds = job.seconds * _ratio(self._took.get(job.rule, ()), usual, job.seconds)
            needs = tuple(number[need] for need in self._needs(plan, place, number))
            if place in running:
                seconds = max(_AT_LEAST * seconds, seconds - running[place])
                jobs.append(job._replace(seconds=seconds, needs=(), priority=_RUNNING))
            else:
                jobs.append(job._replace(seconds=seconds, needs=needs))
        spans = schedule(jobs, plan.cores, plan.gpus)
        return max((span.end for span in spans), default=0.0)

    @staticmethod
    def _needs(plan: Plan, place: int, left: Mapping[int, int]) -> set[int]:
        """Returns what a job waits for of what is left."""
        return {need for need in plan.jobs[place].needs if need in left}


def _all(plan: Plan) -> tuple[Sequence[Job], int, int]:
    return plan.jobs, plan.cores, plan.gpus


def _ratio(took: Sequence[tuple[float, float]], usual: float = 1.0, weight: float = 0.0) -> float:
    """Returns how many times as long as foretold jobs took.

    Args:
        took: seconds as foretold, and as they were.
        usual: what is said if there are none, and counts like one more job of ``weight`` seconds.
        weight: in seconds.
    """
    foretold = sum(seconds for seconds, _ in took) + weight
    return (sum(seconds for _, seconds in took) + usual * weight) / foretold if foretold > 0 else usual


def plan_of(config: Mapping[str, Any], cores: int) -> Plan | None:
    """Returns the plan of an experiment, by its prepared images; None as long as these are not there.

    Args:
        config: checked.
        cores: of the whole run.
    """
    from pipeline.common.errors import UserError
    from pipeline.data.prepared import read_info
    from pipeline.networks.spec import NetworkSpec, uniform_genome
    from pipeline.training.execution import gpu_is_used
    from pipeline.workflow.forecast.images import Given, count_images, shares
    from pipeline.workflow.forecast.jobs import jobs_of
    from pipeline.workflow.forecast.step_time import ORDINARY, ORDINARY_PHOTOGRAPHS
    from pipeline.workflow.layout import Layout

    layout, network = Layout.of(config["experiment"]), config["network"]
    if not (layout.train.exists() and layout.test.exists()):
        return None
    try:
        train, test = read_info(layout.train), read_info(layout.test)
    except (UserError, OSError, RuntimeError):
        return None  # a step will say what is wrong with them
    spec = NetworkSpec(
        network["name"],
        uniform_genome(network["name"], 1),
        base_width=network["base_width"],
        channels=train.channels,
        size=train.size,
        classes=len(train.classes),
        binariser=network["binariser"],
    )
    ordinary = ORDINARY_PHOTOGRAPHS if train.storage == "jpeg" else ORDINARY
    gpus = int(gpu_is_used(config["execution"]["device"]))
    try:
        found = count_images(config, Given(train.count, test.count, len(train.classes)))
        jobs = jobs_of(config, spec, shares(config, found, 0.0, 0.0), replace(ordinary, gpus=gpus), cores)
    except (UserError, LookupError):
        return None  # as above: nobody has asked for a forecast
    return Plan(jobs, cores, gpus)
