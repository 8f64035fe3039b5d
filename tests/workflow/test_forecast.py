"""Planning: the fit to timed steps, the schedule of jobs, and whole experiments against a machine that is known."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.common.handover import is_possible
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.steps.plan import _probe
from pipeline.training.settings import TrainingSettings
from pipeline.training.turns import in_turns
from pipeline.workflow.config import read_config
from pipeline.workflow.forecast.calibrate import Probe, _measure
from pipeline.workflow.forecast.jobs import _REAL_WEIGHTS, Images, forecast, jobs_of
from pipeline.workflow.forecast.schedule import Job, schedule
from pipeline.workflow.forecast.step_time import Calibration, StepTime, Timed, fit, workload
from tests.support.execution import CPU
from tests.support.workflow import ROOT, TINY, planned

DIGITS = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), base_width=0.0625, channels=1, size=8)
IMAGES = Images(train=1078, test=719, subset=500, validation=500, disk_bytes=64, memory_bytes=64)
#: A machine on which a step takes a hundredth of a second and starts take a second.
HERE = Calibration(StepTime(0.01, 0, 0), StepTime(0.1, 0, 0), 0, 1, 1, 1, 1, 0, 0, 500_000_000)


def default(tmp_path: Path, **sections: str):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("experiment: planned\n" + "".join(f"{key}: {value}\n" for key, value in sections.items()))
    return read_config([ROOT / "config.yaml", overlay])


def test_fit_finds_the_times_that_steps_were_made_of():
    truth = StepTime(2e-3, 3e-9, 4e-11)
    works = [workload(DIGITS.with_genome(uniform_genome("vgg_small", ratio))) for ratio in (0.25, 1, 2, 4)]
    found = fit([Timed(work, batch, truth.seconds(work, batch)) for work in works for batch in (10, 64)])
    for work in works:
        assert found.seconds(work, 50) == pytest.approx(truth.seconds(work, 50), rel=1e-6)


def test_fit_never_goes_below_nothing():
    """Noise that would pull a part below zero leaves it at zero, so that no plan can be of negative length."""
    works = [workload(DIGITS.with_genome(uniform_genome("vgg_small", ratio))) for ratio in (0.25, 1, 4)]
    found = fit([Timed(work, 64, seconds) for work, seconds in zip(works, (3.0, 2.0, 1.0), strict=True)])
    assert min(found.step, found.element, found.mac) >= 0
    assert found.step > 0


@st.composite
def some_jobs(draw):
    jobs = []
    for position in range(draw(st.integers(1, 12))):
        needs = draw(st.lists(st.integers(0, position - 1), max_size=3)) if position else []
        threads, priority = draw(st.integers(1, 4)), draw(st.integers(0, 2))
        jobs.append(Job("stage", draw(st.floats(0.1, 10)), threads, tuple(needs), priority))
    return jobs


@given(some_jobs(), st.integers(1, 5))
def test_a_schedule_keeps_to_cores_and_needs(jobs, cores):
    spans = schedule(jobs, cores)
    for job, span in zip(jobs, spans, strict=True):
        assert span.end - span.start == pytest.approx(job.seconds)
        assert all(spans[need].end <= span.start + 1e-9 for need in job.needs)
    for moment in (span.start for span in spans):
        running = [job for job, span in zip(jobs, spans, strict=True) if span.start <= moment < span.end]
        assert sum(min(job.threads, cores) for job in running) <= cores
    work = sum(job.seconds * min(job.threads, cores) for job in jobs)
    assert max(span.end for span in spans) >= work / cores - 1e-6
    # No core is idle for ever: one after another is the worst that there is.
    assert max(span.end for span in spans) <= sum(job.seconds for job in jobs) + 1e-6


def test_the_job_of_higher_priority_goes_first():
    spans = schedule([Job("low", 1.0), Job("high", 1.0, priority=5)], cores=1)
    assert spans[1].start == 0 and spans[0].start == 1


def test_every_job_of_the_workflow_is_planned(tmp_path):
    """As many as Snakemake lists, so that no start of a process is left out."""
    tiny = read_config([ROOT / "config.yaml", TINY])
    counts = planned(tmp_path)
    assert forecast(tiny, DIGITS, IMAGES, HERE, cores=2).jobs == sum(counts.values()) + 1
    assert Counter(job.rule for job in jobs_of(tiny, DIGITS, IMAGES, HERE, cores=2)) == counts
    shards = default(tmp_path, search="{shards: 3}", supernet="{enabled: false}")
    overlay = tmp_path / "overlay.yaml"
    assert forecast(shards, DIGITS, IMAGES, HERE, cores=2).jobs == sum(planned(tmp_path, config=overlay).values()) + 1


def test_hours_of_the_default_experiment_by_hand(tmp_path):
    """One core, so that nothing overlaps: starts, steps of a hundredth of a second, scores of a tenth."""
    plain = {
        "searches": "{A: {seeds: 1}, B: {seeds: 1}, random: {seeds: 1}}",
        "search": "{generations: 8, population: 12, finalists: 0}",
        "proxy": "{sample: 0}",
        "candidate": "{epochs: 10, recalibrate: false}",
        "retrain": "{seeds: 3, epochs: 20}",
    }
    with_controls = forecast(default(tmp_path, **plain), DIGITS, IMAGES, HERE, cores=1)
    found = forecast(default(tmp_path, **plain, controls="[]"), DIGITS, IMAGES, HERE, cores=1)
    by_name = {stage.name: stage for stage in found.stages}
    overhead = 0.03
    assert by_name["supernet"].core_seconds == pytest.approx(1 + 40 * 10 * 0.01 + overhead)
    candidates = 8 * (1 + 12 * (10 * 8 * 0.01 + 0.1))
    assert by_name["search A"].core_seconds == pytest.approx(candidates + 8 * 2 + 1 + 25 * overhead)
    assert by_name["retrain"].core_seconds == pytest.approx(18 * (1 + 20 * 16 * 0.01 + overhead))
    assert by_name["evaluate"].core_seconds == pytest.approx(6 * (1 + 3 * 0.1 + overhead))
    # By what A and B look for, the best of the random search is said for two rows.
    assert by_name["finalists"].core_seconds == pytest.approx(2 * (1 + overhead))
    assert found.jobs == 109
    # A control for each of two found rows: to choose it, to train it three times and to evaluate it.
    assert with_controls.jobs == 109 + 2 * (1 + 3 + 1)
    work = sum(stage.core_seconds for stage in found.stages)
    assert found.seconds == pytest.approx(work + HERE.snakemake_start)


def test_rows_take_as_long_as_their_own_recipes_and_teachers(tmp_path):
    """A row of twice the epochs, and one whose teacher answers as often as it learns: a tenth of a second a time."""

    def seconds(*rows: str) -> float:
        models = ", ".join(["found-A: null, random-A: null, found-B: null, random-B: null", *rows])
        config = default(tmp_path, retrain="{seeds: 2, epochs: 20}", models=f"{{{models}}}", controls="[]")
        found = forecast(config, DIGITS, IMAGES, replace(HERE, scoring=StepTime(0.1, 0, 0)), cores=1)
        return next(stage.core_seconds for stage in found.stages if stage.name == "retrain")

    usual = seconds("x: {genome: 1}")
    assert seconds("x: {genome: 1, retrain: {epochs: 40}}") == pytest.approx(usual + 2 * 20 * 16 * 0.01)
    assert seconds("x: {genome: 1, retrain: {teacher: full-precision}}") == pytest.approx(usual + 2 * 0.1)
    # Compiled kernels leave epochs with real weights to torch.
    staged = seconds("x: {genome: 1, retrain: {real_weight_epochs: 5}}")
    assert staged == pytest.approx(usual + 2 * (_REAL_WEIGHTS - 1) * 5 * 16 * 0.01)
    candidates = default(tmp_path, candidate="{real_weight_epochs: 5}")
    assert _probe(candidates, DIGITS).settings.real_weight_epochs == 0, "steps with binary weights are timed"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_pupil_waits_for_its_teachers_training_of_the_same_number(tmp_path, seeds):
    """On cores for all, a teacher's trainings take as long as one, and so do a pupil's behind them."""

    def lasts(row: str) -> float:
        whole = default(tmp_path, retrain=f"{{seeds: {seeds}, epochs: 20}}", models=f"{{a: {row}}}")
        rows = {name: whole["models"][name] for name in ("a", "full-precision")}
        found = forecast({**whole, "models": rows, "searches": {}}, DIGITS, IMAGES, HERE, cores=16)
        retraining = next(stage for stage in found.stages if stage.name == "retrain")
        return retraining.ends - retraining.begins

    alone, answering = lasts("{genome: 1}"), 0.1
    assert lasts("{genome: 1, retrain: {teacher: full-precision}}") == pytest.approx(2 * alone + answering)


def test_a_row_of_larger_batches_takes_more_memory(tmp_path):
    large = default(tmp_path, models="{x: {genome: 4, retrain: {batch_size: 1000}}}")
    plain = default(tmp_path, models="{x: {genome: 4}}")
    of = [forecast(config, DIGITS, IMAGES, HERE, cores=1).process_bytes for config in (plain, large)]
    assert of[1] - HERE.process_bytes > 10 * (of[0] - HERE.process_bytes)


@pytest.mark.skipif(not is_possible(), reason="no fork server here")
def test_steps_that_the_fork_server_starts_begin_sooner(tmp_path):
    """Those of one thread and process; workers side by side, and what runs on a GPU, import torch themselves."""
    warm, overhead, training = replace(HERE, warm_start=0.125), 0.03, 20 * 16 * 0.01

    def seconds(calibration: Calibration, cores: int, **sections: str) -> dict[str, float]:
        plain = {
            "searches": "{A: {seeds: 1}, B: null, random: null}",
            "models": "{found-B: null, random-A: null, random-B: null}",
            "search": "{generations: 1, population: 4, finalists: 0}",
            "proxy": "{sample: 0}",
            "candidate": "{epochs: 10, recalibrate: false}",
            "retrain": "{seeds: 1, epochs: 20}",
            "controls": "[]",
        }
        found = forecast(default(tmp_path, **plain | sections), DIGITS, IMAGES, calibration, cores)
        return {stage.name: stage.core_seconds for stage in found.stages}

    assert seconds(HERE, 1)["retrain"] == pytest.approx(3 * (1 + training + overhead))
    assert seconds(warm, 1)["retrain"] == pytest.approx(3 * (0.125 + training + overhead))
    threads = seconds(warm, 2, execution="{device: cpu, precision: float32, threads: 2}")
    assert threads["retrain"] == pytest.approx(2 * 3 * (1 + training + overhead))
    on_gpu = seconds(replace(warm, gpus=1), 1)
    assert on_gpu["retrain"] == pytest.approx(3 * (1 + training + overhead))
    candidate = 10 * 8 * 0.01 + 0.1
    light = 3 * (0.125 + overhead)  # to propose, to gather, to select
    assert seconds(warm, 1)["search A"] == pytest.approx(light + 0.125 + 4 * candidate + overhead)
    side_by_side = seconds(warm, 2, search="{generations: 1, population: 4, finalists: 0, workers: 2}")
    assert side_by_side["search A"] == pytest.approx(light + 2 * (0.125 + 1 + 2 * candidate + overhead))


def test_more_cores_shards_and_generations(tmp_path):
    one, two = (forecast(default(tmp_path), DIGITS, IMAGES, HERE, cores=cores) for cores in (1, 2))
    assert one.seconds / 2 <= two.seconds < one.seconds
    generations = read_config([ROOT / "config.yaml"])["search"]["generations"]
    longer = forecast(default(tmp_path, search=f"{{generations: {2 * generations}}}"), DIGITS, IMAGES, HERE, cores=2)
    search = [next(s for s in p.stages if s.name == "search A").core_seconds for p in (two, longer)]
    assert search[1] == pytest.approx(2 * search[0], rel=0.05)


def test_a_budget_makes_candidates_cheaper(tmp_path):
    here = Calibration(StepTime(0, 0, 1e-9), StepTime(0, 0, 1e-9), 0, 0, 0, 0, 0, 0, 0, 0)
    free, bounded = (
        forecast(default(tmp_path, search=f"{{max_flops: {limit}}}"), DIGITS, IMAGES, here, 1)
        for limit in ("null", 100_000)
    )
    assert bounded.stages[2].core_seconds < 0.5 * free.stages[2].core_seconds


def test_candidates_that_are_stopped_take_a_part_of_a_training(tmp_path):
    """Half of all but the first generation's go on after two epochs of ten; all are scored twice that do."""
    plain = {
        "searches": "{A: {seeds: 1}, B: null, random: {seeds: 1}}",
        "models": "{found-B: null, random-B: null}",
        "proxy": "{sample: 0}",
    }

    def seconds(search: str, recalibrate: str = "false") -> dict[str, float]:
        search = f"{{generations: 3, population: 10, finalists: 0, {search}}}"
        candidate = f"{{epochs: 10, recalibrate: {recalibrate}}}"
        config = default(tmp_path, **plain, candidate=candidate, search=search)
        found = forecast(config, DIGITS, IMAGES, HERE, cores=1)
        return {stage.name: stage.core_seconds for stage in found.stages}

    whole, stopped = seconds("early_stop_epochs: null"), seconds("early_stop_epochs: 2, early_stop_keep: 0.5")
    training, scoring, moments = 10 * 8 * 0.01, 0.1, 0.1
    first, later = training + moments + 2 * scoring, 0.6 * training + moments + 1.5 * scoring
    saved = 10 * (3 * (training + scoring) - first - 2 * later)
    assert whole["search A"] - stopped["search A"] == pytest.approx(saved)
    # Nothing is known by which a random one could be stopped.
    assert stopped["search random"] - whole["search random"] == pytest.approx(30 * (moments + scoring))
    again = seconds("early_stop_epochs: null", recalibrate="true")
    assert again["search A"] - whole["search A"] == pytest.approx(30 * moments)


def test_decoding_counts_unless_loaders_hide_it(tmp_path):
    here = Calibration(StepTime(0.01, 0, 0), StepTime(0, 0, 0), 0, 0, 0, 0, 0, 0, decode=0.001, process_bytes=0)
    supernet = {}
    for loaders in (0, 1, 100):
        config = default(tmp_path, execution=f"{{loaders: {loaders}}}")
        stages = forecast(config, DIGITS, IMAGES, here, 1).stages
        supernet[loaders] = next(stage for stage in stages if stage.name == "supernet").core_seconds
    steps, overhead = 40 * 10, 0.03
    assert supernet[0] == pytest.approx(steps * (0.01 + 50 * 0.001) + overhead)
    assert supernet[1] == pytest.approx(steps * 50 * 0.001 + overhead)
    assert supernet[100] == pytest.approx(steps * 0.01 + overhead)


def test_trainings_share_gpus_but_not_more_than_there_are(tmp_path):
    """Cores aplenty: with one GPU all trainings come one after another, with many they do not."""
    hours = {}
    for gpus in (1, 100):
        here = Calibration(StepTime(0.01, 0, 0), StepTime(0, 0, 0), 0, 1, 0, 0, 0, 0, 0, 0, gpus)
        found = forecast(default(tmp_path), DIGITS, IMAGES, here, cores=64)
        hours[gpus] = found.seconds
        work = sum(stage.core_seconds for stage in found.stages)
    assert hours[1] == pytest.approx(work, rel=0.05)
    assert hours[100] < 0.5 * hours[1]


def test_candidates_that_take_turns_on_a_gpu_are_one_process(tmp_path):
    """Each has its maps and weights; they share the images."""
    budget = {"models": "{uniform-2x: null}"}
    on_gpu = replace(HERE, gpus=1)
    candidates = {
        count: forecast(
            default(tmp_path, search=f"{{candidates_per_gpu: {count}}}", **budget), DIGITS, IMAGES, on_gpu, cores=8
        )
        for count in (1, 4)
    }
    assert [found.side_by_side for found in candidates.values()] == [1, 1]
    assert candidates[4].process_bytes > candidates[1].process_bytes


def test_candidates_that_take_turns_on_a_gpu_start_with_their_job(tmp_path):
    """No process of theirs has to start behind it."""
    starts = replace(HERE, light_start=64.0, gpus=1)
    config = default(tmp_path, search="{candidates_per_gpu: 4}")
    jobs = [jobs_of(config, DIGITS, IMAGES, here, cores=8) for here in (starts, replace(starts, light_start=0.0))]
    longer = {one.rule for one, other in zip(*jobs, strict=True) if one.seconds > other.seconds}
    assert "propose_generation" in longer and "evaluate_generation" not in longer


@pytest.mark.parametrize("together", [1, 3])
def test_as_many_trainings_are_timed_in_turns_as_will_take_them(monkeypatch, together):
    taken, scored = [], []

    def noted(works, execution):
        taken.append(len(works))
        return in_turns(works, execution)

    monkeypatch.setattr("pipeline.training.turns.in_turns", noted)
    monkeypatch.setattr("pipeline.training.scoring.score", lambda network, images, execution: scored.append(network))
    probe = Probe((DIGITS,), TrainingSettings(epochs=1, batch_size=8, learning_rate=0.1), CPU)
    report = _measure(probe, together, 0.0)
    assert taken == [together] and len({*map(id, scored)}) == together
    assert len(report.training) == 1


def test_processes_take_their_share_of_a_step(tmp_path):
    here = Calibration(StepTime(0, 1e-6, 0), StepTime(0, 0, 0), 0, 0, 0, 0, 0, 0, 0, 0)
    supernet = {}
    for processes in (1, 2):
        config = default(tmp_path, execution=f"{{processes: {processes}}}")
        stages = forecast(config, DIGITS, IMAGES, here, cores=4).stages
        supernet[processes] = next(stage for stage in stages if stage.name == "supernet")
    one, two = (stage.ends - stage.begins for stage in supernet.values())
    assert two == pytest.approx(one / 2, rel=0.02)
    assert supernet[2].core_seconds == pytest.approx(supernet[1].core_seconds, rel=0.02)
