"""Processes end when the one that they work for is gone."""

import os
import signal
import subprocess
import sys
import time

from pipeline.common.errors import WORKFLOW_PID
from pipeline.common.processes import alive
from tests.support.workflow import PATIENCE, ROOT, wait_for

#: A step of the real command line that would take hours.
TRAINING = ["retrain", "--genome", "1,1,1,1,1,1", "--base-width", "0.0625", "--epochs", "100000", "--batch-size", "50"]
WORKER = "from pipeline.common.processes import end_with_workflow; import time; end_with_workflow(); time.sleep(6000)"


def test_a_step_ends_with_its_workflow():
    workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(6000)"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), WORKFLOW_PID: str(workflow.pid)}
    step = subprocess.Popen([sys.executable, "-c", WORKER], env=environment)
    time.sleep(1.0)
    assert step.poll() is None
    workflow.kill()  # not waited for: a zombie counts as dead
    assert step.wait(timeout=PATIENCE) == -signal.SIGTERM
    workflow.wait()


def test_a_training_saves_itself_and_ends_with_its_workflow(prepared, tmp_path):
    workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(6000)"])
    files = ["--images", prepared / "train.h5", "--weights", tmp_path / "w.h5", "--history", tmp_path / "h.csv"]
    files += ["--timing", tmp_path / "t.json", "--learning-rate", "0.1", "--device", "cpu", "--save-minutes", "1e-9"]
    step = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *TRAINING, *map(str, files)],
        env={**os.environ, "PYTHONPATH": str(ROOT), WORKFLOW_PID: str(workflow.pid)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for("w.state.h5", tmp_path, step)
    workflow.kill()
    _, said = step.communicate(timeout=PATIENCE)
    workflow.wait()
    assert step.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; the same command goes on from here" in said


def test_a_step_run_by_hand_answers_to_nobody():
    environment = {name: value for name, value in os.environ.items() if name != WORKFLOW_PID}
    program = "from pipeline.common.processes import end_with_workflow; end_with_workflow(); import threading; "
    program += "print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout == "1\n"


def test_alive():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert alive(os.getpid()) and not alive(process.pid)
