"""How long a run still takes: by what is foretold of its jobs and by how long they really take."""

import shutil
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.workflow.config import read_config
from pipeline.workflow.forecast.jobs import Images, jobs_of
from pipeline.workflow.forecast.remaining import Plan, Remaining, plan_of
from pipeline.workflow.forecast.schedule import schedule
from pipeline.workflow.forecast.step_time import ORDINARY
from pipeline.workflow.layout import Layout
from tests.support.workflow import ROOT

DIGITS = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=0.0625, channels=1, size=8)
IMAGES = Images(train=1078, test=719, subset=500, validation=500, disk_bytes=64, memory_bytes=64)
#: How many times as long as foretold a rule's jobs take on the machine of these tests; others thrice.
SLOWER = {"retrain": 2.0, "prepare_dataset": 1.0, "tables": 1.5}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The default experiment's jobs, on two cores."""
    return Plan(jobs_of(read_config([ROOT / "config.yaml"]), DIGITS, IMAGES, ORDINARY, 2), 2)


def followed(plan: Plan, done: int = 0) -> tuple[list[tuple[float, float | None, float]], float]:
    """Runs a plan on a machine of its own pace, which differs from job to job as well.

    Args:
        plan: from nothing.
        done: so many of its jobs, the earliest, were done by a run before.

    Returns:
        at every second: what it was, what was said to be left, and what the number of jobs alone says; and when the
        run ended.
    """
    random = Random(0)
    spans = schedule(plan.jobs, plan.cores)
    late = sorted(range(len(plan.jobs)), key=lambda place: spans[place].start)[done:]
    number = {place: position for position, place in enumerate(sorted(late))}
    real = [
        plan.jobs[place]._replace(
            seconds=plan.jobs[place].seconds * SLOWER.get(plan.jobs[place].rule, 3.0) * random.uniform(0.8, 1.25),
            needs=tuple(number[need] for need in plan.jobs[place].needs if need in number),
        )
        for place in sorted(late)
    ]
    clock = [0.0]
    remaining = Remaining(lambda: plan, lambda: clock[0])
    rules = [job.rule for job in real]
    remaining.begin({rule: rules.count(rule) for rule in rules})
    begun = [(span.start, 1, job) for job, span in enumerate(schedule(real, plan.cores))]
    ended = [(span.end, 0, job) for job, span in enumerate(schedule(real, plan.cores))]
    end, over, looks = max(ended)[0], 0, []
    for at, begins, job in sorted(begun + ended):
        while len(looks) + 1 < at:
            clock[0] = len(looks) + 1.0
            looks.append((clock[0], remaining.seconds(), clock[0] / max(1, over) * (len(real) - over)))
        clock[0] = at
        if begins:
            remaining.start(job, real[job].rule, real[job].of)
        else:
            remaining.end(job)
            over += 1
    return looks, end


@pytest.mark.parametrize("done", [0, 100])
def test_what_is_left_is_about_right_and_becomes_less(plan, done):
    looks, end = followed(plan, done)
    known = [(at, said, by_number) for at, said, by_number in looks if said is not None]
    assert len(known) > 0.8 * len(looks)
    for at, said, _ in known:
        if at > 0.3 * end:
            assert said == pytest.approx(end - at, abs=0.12 * end)
    assert sum(later > earlier + 0.05 * end for (_, earlier, _), (_, later, _) in pairwise(known)) <= 1
    off = [abs(said - (end - at)) for at, said, _ in known]
    off_by_number = [abs(by_number - (end - at)) for at, _, by_number in known]
    assert sum(off) < 0.5 * sum(off_by_number)


def test_nothing_is_said_as_long_as_no_training_is_done(plan):
    clock = [0.0]
    remaining = Remaining(lambda: plan, lambda: clock[0])
    rules = [job.rule for job in plan.jobs]
    remaining.begin({rule: rules.count(rule) for rule in rules})
    for job, rule in enumerate(("prepare_dataset", "sample_subset", *["retrain"] * 5)):
        assert job > 2 or remaining.seconds() is None
        remaining.start(job, rule, "")
        clock[0] += 1.0
        assert job > 2 or remaining.seconds() is None
        remaining.end(job)
        clock[0] += 1.0
    assert remaining.seconds() > 10
    before = remaining.seconds()
    clock[0] += 0.25
    assert remaining.seconds() == pytest.approx(before - 0.25), "the clock goes on between two layouts"


def test_the_plan_is_known_as_soon_as_the_images_are_prepared(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config([ROOT / "config.yaml"])
    assert plan_of(config, 2) is None
    layout = Layout.of(config["experiment"])
    layout.train.parent.mkdir(parents=True)
    shutil.copy(prepared / "train.h5", layout.train)
    assert plan_of(config, 2) is None
    shutil.copy(prepared / "test.h5", layout.test)
    found = plan_of(config, 2)
    assert found is not None and found.cores == 2
    assert {"retrain", "evaluate_generation", "write_report"} <= {job.rule for job in found.jobs}
    Path(layout.test).write_bytes(b"no images")
    assert plan_of(config, 2) is None
