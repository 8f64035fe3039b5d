"""Several real processes take the steps of one training: as one would, and stopped, killed and resumed like one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.common.hdf5 import Arrays, read_attributes, read_tensors
from pipeline.common.processes import alive
from pipeline.networks.module import Network
from pipeline.training.distributed import ALONE, World
from pipeline.training.loop import Training
from pipeline.workflow.config import read_config
from tests.support.execution import CPU
from tests.support.several import flags
from tests.support.steps_of_several import states
from tests.support.trainings import SETTINGS, SPEC
from tests.support.workflow import PATIENCE, ROOT, TINY, command, run, start, wait_for, wait_until

pytestmark = pytest.mark.slow
OFTEN = ["--save-minutes", "1e-9"]  # after every step
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
KINDS = [f"{network}-{kind}" for network in ("vgg_small", "resnet18") for kind in ("binary", "real")]


@pytest.fixture(scope="module")
def of_one() -> Arrays:
    """States after some steps of one process."""
    found = states(ALONE)
    CPU.apply()
    return found


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """The same of two."""
    folder = tmp_path_factory.mktemp("two")
    done = run([*TORCHRUN, str(ROOT / "tests" / "support" / "steps_of_several.py"), str(folder / "states.h5")], folder)
    assert done.returncode == 0, done.stderr
    assert read_attributes(folder / "states.h5")["processes"] == 2
    return read_tensors(folder / "states.h5")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-10), ("float32", 3e-4)])
def test_two_processes_take_the_steps_of_one(of_one, of_two, kind, precision, tolerance):
    """Weights, running moments and momentum; loss and accuracy, whose logits are float32 in any case."""
    assert of_one.keys() == of_two.keys()
    names = [name for name in of_one if name.startswith(f"{kind}-{precision}/")]
    assert any("running_var" in name for name in names) and any("momentum/" in name for name in names)
    for name in names:
        measured = name.endswith(("/sums", "/history"))
        np.testing.assert_allclose(of_two[name], of_one[name], tolerance, 1e-5 if measured else tolerance, err_msg=name)
    if "real" in kind and precision == "float64":
        assert of_one[f"{kind}-{precision}/history"].shape == (1, 4)


def test_parts_of_a_batch_see_the_crops_of_the_whole(digits):
    plan = list(torch.randperm(200, generator=torch.Generator().manual_seed(0)).split(40))
    whole = list(digits.batches(plan, "crop-flip", ("here",)))
    parts = [list(digits.batches(plan, "crop-flip", ("here",), part=World(rank, 4).part(40))) for rank in range(4)]
    for step, (x, y) in enumerate(whole):
        assert torch.equal(torch.cat([part[step][0] for part in parts]), x)
        assert torch.equal(torch.cat([part[step][1] for part in parts]), y)


def test_a_batch_that_cannot_be_divided(digits):
    assert [World(rank, 4).part(8) for rank in (0, 3)] == [slice(0, 2), slice(6, 8)]
    with pytest.raises(UserError, match="a batch of 40 images cannot be divided among 3 processes"):
        World(0, 3).part(40)
    with pytest.raises(UserError, match="a batch of 40 images"):
        Training(Network(SPEC), digits, SETTINGS, 0, CPU, World(0, 3))


def of_two_processes(prepared: Path, folder: Path, *more: str) -> list[str]:
    return [*TORCHRUN, "-m", "pipeline", *flags(prepared, folder, "--processes", "2", *more)]


def results(folder: Path) -> tuple[str, bytes]:
    return read_attributes(folder / "w.h5")["digest"], (folder / "h.csv").read_bytes()


def end_of(process: subprocess.Popen[str], seconds: float = PATIENCE) -> int:
    try:
        return process.wait(seconds)
    finally:
        process.kill()


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retraining by two processes, left alone."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(of_two_processes(prepared, folder), folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("2 processes") == 1, "the second process speaks too"
    return folder


@pytest.fixture(scope="module")
def stopped(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, ended by a SIGTERM to torchrun."""
    folder = tmp_path_factory.mktemp("stopped")
    process = start(of_two_processes(prepared, folder, *OFTEN), folder)
    wait_for("w.state.h5", folder, process)
    process.terminate()
    assert end_of(process) != 0
    assert (folder / "output.txt").read_text().count("stopped by SIGTERM; the same command goes on from here") == 1
    assert {path.name for path in folder.iterdir()} == {"w.state.h5", "output.txt"}
    return folder


def test_stopped_and_resumed_it_ends_with_the_same_bytes(prepared, whole, stopped, tmp_path):
    shutil.copy(stopped / "w.state.h5", tmp_path)
    done = run(of_two_processes(prepared, tmp_path), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("going on from epoch") == 1
    assert results(tmp_path) == results(whole)
    assert not (tmp_path / "w.state.h5").exists()


def test_what_was_made_says_by_how_many(whole):
    assert json.loads((whole / "t.json").read_text())["processes"] == 2
    assert read_attributes(whole / "w.h5")["processes"] == 2


def test_one_process_goes_on_where_two_stopped(prepared, whole, stopped, tmp_path, capsys):
    shutil.copy(stopped / "w.state.h5", tmp_path)
    assert main(flags(prepared, tmp_path)) == 0
    said = capsys.readouterr().err
    assert "the state was saved by 2 processes, now there are 1" in said and "going on from epoch" in said
    last = [float(folder.joinpath("h.csv").read_text().split(",")[-1]) for folder in (tmp_path, whole)]
    assert abs(last[0] - last[1]) < 15  # the same training, but what rounding decides


def test_two_processes_go_on_where_one_stopped(prepared, tmp_path, monkeypatch):
    def step(self, x, y):
        if self.steps_done == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, x, y)

    original = Training._take_step
    monkeypatch.setattr(Training, "_take_step", step)
    assert main(flags(prepared, tmp_path)) == 128 + signal.SIGTERM
    done = run(of_two_processes(prepared, tmp_path), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the state was saved by 1 processes, now there are 2" in done.stderr
    assert "going on from epoch 2" in done.stderr
    assert read_attributes(tmp_path / "w.h5")["processes"] == 2


def test_divergence_ends_all_and_is_said_once(prepared, tmp_path):
    done = run(of_two_processes(prepared, tmp_path, "--learning-rate", "1e30"), tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("diverged") == 1 and "error: the retraining of" in done.stderr


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes by Linux's /proc")
@pytest.mark.parametrize("victim", ["a process", "torchrun"])
def test_when_one_dies_none_is_left(prepared, tmp_path, victim):
    process = start(of_two_processes(prepared, tmp_path, "--epochs", "100000", *OFTEN), tmp_path)
    wait_for("w.state.h5", tmp_path, process)
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(process.pid if victim == "torchrun" else workers[1], signal.SIGKILL)
    assert end_of(process) != 0
    wait_until(lambda: not any(map(alive, workers)))


def test_another_number_than_was_asked_for(prepared, tmp_path, capsys):
    assert main(flags(prepared, tmp_path, "--processes", "2")) == 1
    assert "this training was to run in 2 processes, but there is 1" in capsys.readouterr().err


def overlay(folder: Path, **execution: object) -> Path:
    config = yaml.safe_load(TINY.read_text())
    config["execution"] |= execution
    config["supernet"]["batch_size"] = 26
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def jobs(output: str) -> dict[str, str]:
    """What a dry run says of each rule."""
    return {job.split(":")[0]: job for job in output.split("\nrule ")[1:]}


def test_the_plan_for_two_gpus(tmp_path):
    config = overlay(tmp_path, processes=2, device="cuda", threads=3)
    done = run(command("-n", "-p", "--cores", 8, "--resources", "gpu=2", config=config), tmp_path)
    assert done.returncode == 0, done.stderr
    planned = jobs(done.stdout + done.stderr)
    for rule, step in (("retrain", "retrain"), ("pretrain_supernet", "pretrain-supernet")):
        assert f"torchrun --standalone --nproc-per-node 2 -m pipeline {step} --images" in planned[rule]
        assert "--processes 2" in planned[rule] and "gpu=2" in planned[rule] and "threads: 6" in planned[rule]
    for rule in ("evaluate_generation", "evaluate"):
        assert "python -m pipeline " in planned[rule] and "--processes" not in planned[rule]
        assert "gpu=1" in planned[rule]
    # Otherwise Snakemake would lower the request without a word.
    done = run(command("-n", "--cores", 8, config=config), tmp_path)
    assert done.returncode == 1
    assert "execution.processes is 2, but this run is given gpu=1: add --resources gpu=2" in done.stdout + done.stderr


def test_a_batch_that_cannot_be_divided_is_found_before_any_work(tmp_path):
    problem = "supernet.batch_size is 26, which cannot be divided among 4 processes: choose a multiple of 4"
    with pytest.raises(UserError, match=problem):
        read_config([ROOT / "config.yaml", overlay(tmp_path, processes=4)])
    assert read_config([ROOT / "config.yaml", overlay(tmp_path, processes=2)])["execution"]["processes"] == 2
