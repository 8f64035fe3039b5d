"""Who may run an experiment in a folder: one run each, told from the dead ones, and none disturbs another."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.common.errors import UserError
from pipeline.common.processes import alive, birth
from pipeline.workflow import lock
from pipeline.workflow.layout import Layout
from pipeline.workflow.lock import LOCKS, OLD_RECORD, RECORDS, check_apart, hold, last_run, settle_earlier_run, unlock
from tests.support.workflow import (
    PATIENCE,
    catch_in_training,
    command,
    kill_everything,
    overlay,
    resume,
    run,
    saved_at_the_end,
    start,
    steps_in,
)

WORKFLOW = SimpleNamespace(scheduler=None)
HERE = socket.gethostname()


@pytest.fixture
def at(tmp_path, monkeypatch):
    """The working folder, in which Snakemake has locked an experiment and another one."""
    monkeypatch.chdir(tmp_path)
    LOCKS.mkdir(parents=True)
    for number, name in enumerate(("mine", "other")):
        (LOCKS / f"{number}.input.lock").write_text(f"results/{name}/data/train.h5\n")
        (LOCKS / f"{number}.output.lock").write_text(f"results/{name}/tables/results.md\n")
    return tmp_path


def note(**values: object) -> None:
    RECORDS.mkdir(parents=True, exist_ok=True)
    (RECORDS / "mine.json").write_text(json.dumps(values))


def locks() -> list[str]:
    return sorted(path.name for path in LOCKS.glob("*"))


def test_a_process_is_not_another_one_of_its_number():
    mine = birth(os.getpid())
    assert alive(os.getpid(), mine) and alive(os.getpid())
    boot, _, started = mine.partition("/")
    assert not alive(os.getpid(), f"{boot}/{int(started) - 1}"), "the number was given again"
    assert not alive(os.getpid(), f"another-boot/{started}"), "the machine was started again"
    assert birth(2**22 + 1) is None


def test_a_live_run_is_not_disturbed(at):
    note(host=HERE, pid=os.getppid(), birth=birth(os.getppid()))
    for attempt in (lambda: settle_earlier_run("mine", False), lambda: hold(WORKFLOW, "mine")):
        with pytest.raises(UserError, match=rf"'mine' is already running in this folder \(process {os.getppid()}\)"):
            attempt()
    assert len(locks()) == 4


def test_after_a_reboot_the_number_belongs_to_a_stranger(at, capsys):
    note(host=HERE, pid=os.getppid(), birth="earlier-boot/5")
    settle_earlier_run("mine", False)
    assert "going on from what it had finished" in capsys.readouterr().err
    assert locks() == ["1.input.lock", "1.output.lock"], "another experiment's locks are not ours"


def test_a_run_on_another_machine(at):
    note(host="elsewhere", pid=1, birth="b/1")
    with pytest.raises(UserError, match="'mine' is being run in this folder by the machine elsewhere.*--unlock"):
        settle_earlier_run("mine", False)
    unlock("mine")
    settle_earlier_run("mine", False)
    assert locks() == ["1.input.lock", "1.output.lock"]


def test_a_lock_without_a_record(at):
    with pytest.raises(UserError, match="'mine' is locked here by a run that left no record"):
        settle_earlier_run("mine", False)
    unlock("mine")
    settle_earlier_run("mine", False)


def test_a_record_of_the_version_before(at, monkeypatch):
    """It names no experiment, and no process but by its number."""
    OLD_RECORD.write_text(json.dumps({"host": HERE, "pid": os.getpid(), "slurm": None}))
    settle_earlier_run("mine", False)  # this process is no Snakemake
    words = [sys.executable, "-c", "print('here', flush=True); input()  # snakemake"]
    snakemake = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert snakemake.stdout.readline()  # until then its words are not to be seen
        OLD_RECORD.write_text(json.dumps({"host": HERE, "pid": snakemake.pid, "slurm": None}))
        settle_earlier_run("mine", False)  # whose locks are gone by now
        with pytest.raises(UserError, match="'other' is already running"):
            settle_earlier_run("other", False)
        assert last_run(Layout.of("other")).alive and not last_run(Layout.of("mine")).alive
    finally:
        snakemake.kill()
        snakemake.wait()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": "a"}', '{"host": "a", "pid": "x"}', "[" * 9999, "null"])
def test_a_record_that_is_none(at, text):
    RECORDS.mkdir()
    (RECORDS / "mine.json").write_text(text)
    with pytest.raises(UserError, match="left no record"):
        settle_earlier_run("mine", False)
    assert last_run(Layout.of("mine")) is None


def test_what_a_dead_run_left_in_slurms_queue_is_ended_unless_we_only_look(at, monkeypatch):
    cancelled: list[str] = []
    monkeypatch.setattr(lock.slurm, "cancel", cancelled.append)
    monkeypatch.setattr(lock.slurm, "is_here", lambda: True)
    note(host="elsewhere", pid=1, birth="b/1", slurm="jobs", ended=True)
    settle_earlier_run("mine", True)
    assert cancelled == []
    settle_earlier_run("mine", False)
    assert cancelled == ["jobs"]
    note(host="elsewhere", pid=1, birth="b/1", slurm="jobs")
    unlock("mine")
    settle_earlier_run("mine", False)
    assert cancelled == ["jobs", "jobs"]


@pytest.mark.parametrize("link", ["data", "."])
def test_no_link_leads_into_another_experiment(at, link):
    mine, other = (at / "results" / name for name in ("mine", "other"))
    for folder in (mine / "data", other / "data", other / "archive"):
        folder.mkdir(parents=True)
    (mine / "archive").symlink_to("../other/archive")
    (at / "scratch").mkdir()
    (mine / "search").symlink_to(at / "scratch")
    check_apart(Layout.of("mine"))
    shutil.rmtree(mine / link)
    (mine / link).symlink_to(other / link)
    with pytest.raises(UserError, match="results/mine(/data)? is a link to what results/other(/data)? is"):
        check_apart(Layout.of("mine"))
    check_apart(Layout.of("other"))


def test_two_experiments_with_links_to_one_place(at):
    for name in ("mine", "other"):
        (at / "results" / name / "data").mkdir(parents=True)
        (at / "results" / name / "search").symlink_to(at)
    with pytest.raises(UserError, match="results/mine/search is a link to what results/other/search is"):
        check_apart(Layout.of("mine"))


def test_plain_snakemake_says_that_a_link_leads_into_another_experiment(tmp_path):
    (tmp_path / "results" / "other" / "data").mkdir(parents=True)
    (tmp_path / "results" / "tiny").symlink_to("other")
    done = run(command("-n", "--cores", 1), tmp_path)
    assert done.returncode == 1 and "results/tiny is a link to what results/other is" in done.stdout + done.stderr


def test_a_run_from_another_working_folder_holds_the_shared_results(at, tmp_path, monkeypatch):
    results = Layout.of("mine")
    hold(WORKFLOW, "mine")
    note = json.loads(results.running.read_text())
    assert note["pid"] == os.getpid() and note["from"] == str(at)
    colleague = at / "colleague"
    colleague.mkdir()
    (colleague / "results").symlink_to("../results")
    monkeypatch.chdir(colleague)
    living = os.getppid()
    results.running.write_text(json.dumps({**note, "pid": living, "birth": birth(living)}))
    with pytest.raises(UserError, match=f"results/mine is written by another run, process {living} of .* in {at}"):
        hold(WORKFLOW, "mine")
    assert not (RECORDS / "mine.json").exists()
    shutil.copytree(results.folder, "results/copy")
    hold(WORKFLOW, "copy")  # which nobody runs
    results.running.write_text(json.dumps({**note, "host": "elsewhere"}))
    for begin in (lambda: hold(WORKFLOW, "mine"), lambda: settle_earlier_run("mine", False)):
        with pytest.raises(UserError, match="of the machine elsewhere in"):
            begin()
    unlock("mine")
    hold(WORKFLOW, "mine")
    results.running.write_text(json.dumps({**note, "pid": living, "birth": "b/1"}))  # of a dead one
    hold(WORKFLOW, "mine")


def test_who_takes_hold_ends_what_a_dead_run_left_in_slurms_queue(at, monkeypatch):
    """A plain snakemake has nobody else who does."""
    cancelled: list[str] = []
    monkeypatch.setattr(lock.slurm, "cancel", cancelled.append)
    monkeypatch.setattr(lock.atexit, "register", lambda *call: None)
    note(host=HERE, pid=os.getpid(), birth="b/1", slurm="jobs")
    hold(WORKFLOW, "mine")
    assert cancelled == ["jobs"]
    hold(WORKFLOW, "mine")
    assert cancelled == ["jobs"]


def test_where_slurm_is_not_a_person_can_say_that_no_job_is_left(at, monkeypatch):
    monkeypatch.setattr(lock.slurm, "is_here", lambda: False)
    monkeypatch.setenv("PATH", str(at))
    note(host=HERE, pid=1, birth="b/1", slurm="jobs")
    with pytest.raises(UserError, match="there is no squeue here .*call: python -m pipeline run … --unlock"):
        settle_earlier_run("mine", False)
    unlock("mine")
    settle_earlier_run("mine", False)


def test_the_end_of_a_process_lets_go(at):
    program = (
        "from pipeline.workflow.lock import hold, last_run\n"
        "from pipeline.workflow.layout import Layout\nfrom types import SimpleNamespace\n"
        "hold(SimpleNamespace(scheduler=None), 'mine')\nassert last_run(Layout.of('mine')).alive\n"
        "import os\nif not os.fork(): raise SystemExit\n"  # a child's end is not ours
        "os.wait()\nassert last_run(Layout.of('mine')).alive\n"
    )
    for end, expected in ("", 0), ("os.kill(os.getpid(), 9)", -9):
        done = subprocess.run([sys.executable, "-c", program + end], capture_output=True, text=True)
        assert done.returncode == expected, done.stderr
        record = json.loads((RECORDS / "mine.json").read_text())
        assert record["ended"] == (expected == 0) and record["host"] == HERE
        assert 0 < record["began"] <= (RECORDS / "mine.json").stat().st_mtime
        assert last_run(Layout.of("mine")).began == record["began"]
        assert last_run(Layout.of("mine")).alive is False


@pytest.mark.slow
def test_two_experiments_run_in_one_folder_and_each_once(tmp_path):
    """One ends while the other trains; nothing of the live one is given away."""
    long = overlay(tmp_path, {"retrain": {"epochs": 400, "seeds": 1}, "execution": {"save_minutes": 0.005}})
    weights = "results/tiny/retrain/uniform-1x/seed_0/weights.h5"
    log = tmp_path / "results/tiny/logs/retrain/uniform-1x_0.log"
    state = (tmp_path / weights).with_name("weights.state.h5")
    process = start(resume("--cores", "1", weights, config=long), tmp_path)
    try:
        catch_in_training(process, state)
        beside = ["--cores", "1", "results/beside/data/train.h5", "--config", "experiment=beside"]
        for words in resume(*beside), command(*beside, "--forcerun"):
            done = run(words, tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
        assert not any((tmp_path / LOCKS).glob("*")), "Snakemake has given away the live run's locks; the record stays"
        for words in resume("--cores", "1", config=long), command("--cores", "1", config=long):
            done = run(words, tmp_path)
            assert done.returncode == 1
            said = done.stdout + done.stderr
            assert "the experiment 'tiny' is already running in this folder (process " in said
            assert "Traceback" not in said
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
        assert not steps_in(tmp_path)
        assert saved_at_the_end(state, log, epochs=400)
    finally:
        kill_everything(process)
