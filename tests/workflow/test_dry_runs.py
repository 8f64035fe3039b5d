"""What the workflow plans, and the mistakes that it finds before any work."""

import re
import shutil

import pytest

from pipeline.workflow.lock import RECORDS
from tests.support.workflow import (
    ROOT,
    TINY,
    command,
    overlay,
    planned,
    resume,
    run,
)

pytestmark = pytest.mark.slow


def test_slurm_where_there_is_none(tmp_path, monkeypatch):
    """Told before anything is noted down that would stand in the way of the next run."""
    for program in ("which", "bash", "sh"):  # that Snakemake wants
        (tmp_path / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(tmp_path))
    looking = run(resume("--workflow-profile", str(ROOT / "profiles" / "slurm"), "-n", "--quiet", "all"), tmp_path)
    assert looking.returncode == 0, looking.stderr
    for words in (["--workflow-profile", str(ROOT / "profiles" / "slurm")], ["--executor=slurm", "--jobs", "2"]):
        done = run(resume(*words), tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
        assert "SLURM" in done.stderr
    assert not (tmp_path / RECORDS).exists()


def test_a_key_that_is_given_twice_is_told_by_plain_snakemake_too(tmp_path):
    (tmp_path / "twice.yaml").write_text("retrain: {epochs: 3, epochs: 4}\n")
    done = run(command("-n", "--cores", 2, config=tmp_path / "twice.yaml"), tmp_path)
    assert done.returncode == 1 and "twice.yaml is no valid YAML: the key 'epochs' is given twice" in (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize(
    ("more", "flag"),
    [
        (["--config", "seed=1", "--config", "retrain={seeds: 1}"], "--config"),
        (["-C", "seed=1", "--config=seed=2"], "--config"),
        (["--configfiles", str(TINY)], "--configfile"),
    ],
)
def test_plain_snakemake_does_not_pass_over_all_settings_but_the_last(tmp_path, more, flag):
    done = run(command("-n", "--cores", 2, *more), tmp_path)
    assert done.returncode == 1
    assert f"{flag} is given more than once, and Snakemake takes the last one alone" in done.stdout + done.stderr


def test_only_evaluate_sees_the_test_set(tmp_path):
    """The graph itself, job by job: who reads test images, and whose command names them."""
    done = run(command("-n", "-p", "--forceall", "--cores", 2), tmp_path)
    assert done.returncode == 0
    jobs = re.split(r"^(?:local)?rule ", done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    names = {job.split(":")[0] for job in jobs}
    assert len(names) >= 11
    readers = {job.split(":")[0] for job in jobs if re.search(r"^ +input: .*test\.h5", job, re.MULTILINE)}
    assert readers == {"evaluate"}
    mentions = {job.split(":")[0] for job in jobs if "test.h5" in job}
    assert mentions == {"evaluate", "prepare_dataset"}


def test_a_taught_row_waits_for_its_teacher_of_the_same_number(tmp_path):
    rows = {"full-precision": {"genome": 1, "binary": False}, "taught": {"genome": 1, "retrain": {"optimizer": "adam"}}}
    config = overlay(tmp_path, {"models": rows, "retrain": {"teacher": "full-precision", "seeds": 2}})
    done = run(command("-n", "-p", "--cores", 2, config=config), tmp_path)
    jobs = re.split(r"^(?:local)?rule ", done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    trained = {}
    for job in (job for job in jobs if job.startswith("retrain")):
        model, seed = re.search(r"wildcards: model=([\w-]+), seed=(\d)", job).groups()
        trained[model, seed] = re.findall(r"--teacher (\S+)", job), "--optimizer adam" in job
    for (model, seed), (teacher, adam) in trained.items():
        weights = f"results/tiny/retrain/full-precision/seed_{seed}/weights.h5"
        assert teacher == ([] if model == "full-precision" else [weights])
        assert adam == (model == "taught")
    assert {("taught", "1"), ("full-precision", "0")} <= set(trained)


def test_the_plan_of_far_more_than_the_papers_search(tmp_path):
    """300 generations of 32 are listed as a whole, before any work: Snakemake's recursion must not be the limit."""
    config = overlay(
        tmp_path, {"search": {"generations": 300, "population": 32}, "searches": {"B": None, "random": None}}
    )
    jobs = planned(tmp_path, config=config)
    assert jobs["propose_generation"] == jobs["evaluate_generation"] == jobs["score_generation"] == 300


def test_no_supernet_is_trained_that_nobody_inherits_from(tmp_path):
    """Without a search there is none, and no sample of genomes whose scores nobody would select by."""
    searches = dict.fromkeys(("A", "B", "random"))
    alone = {"searches": searches, "models": {"found-A": None}, "proxy": {"sample": 5, "scores": 1, "trainings": 1}}
    # Held-out images are for finalists and the sample alone: none are needed.
    alone["split"] = {"held_out_per_class": 0}
    jobs = set(planned(tmp_path, config=overlay(tmp_path, alone)))
    assert jobs == {"prepare_dataset", "retrain", "evaluate", "tables", "figures", "write_report"}
    jobs = planned(tmp_path, config=overlay(tmp_path, {"proxy": {"sample": 0}}))
    assert "score_sample" not in jobs and jobs["pretrain_supernet"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"searches": {"A": {"algorithm": "evolution", "lambda": -1}}}, "searches.A.lambda is -1"),
        ({"network": {"base_width": 0.001}}, "models.uniform-1x: conv1 of VGG-small would have no channels"),
        ({"colour": 1}, "unknown key 'colour' in the configuration"),
    ],
)
def test_mistakes_are_found_by_the_dry_run(tmp_path, change, sentence):
    """One of each module that checks; tests/workflow/test_config.py has the others."""
    done = run(command("-n", config=overlay(tmp_path, change)), tmp_path)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"Error:\nconfiguration: {sentence}" in output
    assert "Traceback" not in output and "  File " not in output
    assert not (tmp_path / "results").exists()


def test_run_takes_snakemakes_config_flag(tmp_path):
    done = run(resume("--config", "retrain={epoch: 3}"), tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: unknown key 'epoch' in retrain: did you mean 'epochs'?\n"
    done = run(resume("--cores", "1", "results/elsewhere/data/train.h5", "--config", "experiment=elsewhere"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "elsewhere: 1 of 1 steps" in done.stderr
    # Not taken for another file of settings, nor for a setting, where it comes first.
    front = [*resume()[:4], "results/tiny/data/train.h5", *resume("-n", "--quiet", "rules")[4:]]
    for words in ([], ["--config", "seed=1"]):
        done = run([*front, *words], tmp_path)
        assert done.returncode == 0 and re.search(r"^total +1$", done.stdout + done.stderr, re.MULTILINE), done.stderr
    assert (tmp_path / "results" / "elsewhere" / "data" / "train.h5").exists()


def test_a_setting_that_does_nothing_is_named(tmp_path):
    config = overlay(tmp_path, {"retrain": {"milestones": [1]}})
    done = run(command("-n", "--cores", 1, "--quiet", "all", config=config), tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("note: retrain.milestones has no effect, since retrain.schedule is 'cosine'") == 1
