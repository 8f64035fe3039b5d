"""Steps that start as children of a process that has imported all: what they are then, and how they end."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.__main__ import main
from pipeline.common.errors import WORKFLOW_PID
from pipeline.common.handover import ADDRESS
from pipeline.common.hdf5 import read_attributes
from pipeline.steps import run as run_step
from pipeline.workflow.forkserver import fork_server
from tests.support.steps import CPU, NETWORK
from tests.support.workflow import PATIENCE, ROOT, TINY, resume, run, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is none elsewhere")

#: What Snakemake sets for a step of one thread; torch and numpy start no other then.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Steps:
    """Steps called as a rule does, with a server or without."""

    def __init__(self, address: str, folder: Path, package: Path = ROOT, unbuffered: str = "") -> None:
        self.address, self._folder, self._count = address, folder, 0
        paths = os.pathsep.join(dict.fromkeys([str(package), str(ROOT)]))
        settled = {"PYTHONUTF8": "1", "PYTHONSAFEPATH": "1", "PYTHONPATH": paths, WORKFLOW_PID: str(os.getpid())}
        self.environment = {**os.environ, **THREADS, **settled, "PYTHONUNBUFFERED": unbuffered}

    def path(self) -> Path:
        self._count += 1
        return self._folder / str(self._count)

    def start(self, *words: object, warm: bool = True, **how: object) -> "subprocess.Popen[str]":
        environment = {**self.environment, **({ADDRESS: self.address} if warm else {}), **how.pop("variables", {})}
        command = [sys.executable, "-m", "pipeline", *map(str, words)]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **how}
        return subprocess.Popen(command, env=environment, text=True, **how)

    def probe(self, action: str, path: Path, **how: object) -> "subprocess.Popen[str]":
        return self.start("cost", "--network", f"tests.support.probe:{action}@{path}", **how)

    def is_warm(self, **how: object) -> bool:
        """Whether a step finds torch imported."""
        path = self.path()
        process = self.probe("ask", path, **how)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and said.startswith("error: 'tests.support.probe:ask@"), said
        return json.loads(path.read_text())

    def waiting(self, **how: object) -> "tuple[subprocess.Popen[str], psutil.Process]":
        """A step that waits: the process that was started, and the one that does the work."""
        path = self.path()
        process = self.probe("wait", path, **how)
        wait_until(lambda: process.poll() is not None or (path.exists() and path.read_text()))
        return process, psutil.Process(int(path.read_text()))

    def warmed(self) -> "Steps":
        """Itself, when the server has seen what steps are started with."""
        for _ in range(2):
            self.start("--version").communicate(timeout=PATIENCE)
        return self


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    with fork_server() as variables:
        yield Steps(variables[ADDRESS], tmp_path_factory.mktemp("steps")).warmed()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Steps]:
    """Steps with a server of their own, to be spoilt."""
    with fork_server() as variables:
        yield Steps(variables[ADDRESS], tmp_path).warmed()


def server_of(address: str) -> psutil.Process:
    (found,) = [p for p in psutil.Process().children() if str(Path(address).parent) in p.cmdline()]
    return found


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def dead(pid: int) -> bool:
    return not psutil.pid_exists(pid) or gone(psutil.Process(pid))


# --- what a step is in ---


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_child_is_what_the_step_would_be(tmp_path, unbuffered):
    with fork_server() as variables:
        _compare(Steps(variables[ADDRESS], tmp_path, unbuffered=unbuffered).warmed(), tmp_path)


def _compare(steps, tmp_path):
    (tmp_path / "cwd").mkdir()
    how = {"cwd": tmp_path / "cwd", "preexec_fn": lambda: os.umask(0o022)}
    path = steps.path()
    found = []
    for warm in (False, True, True):
        with open(tmp_path / "log", "w") as log:
            steps.probe("show", path, warm=warm, stdout=log, stderr=log, **how).wait(PATIENCE)
        found.append(json.loads(path.read_text()))
    assert [one.pop("warm") for one in found] == [False, True, True]
    drawn = [one.pop("drawn") for one in found]
    assert all(len({one[generator] for one in drawn}) == 3 for generator in (0, 1, 2)), "draws of unseeded generators"
    cold, warm, again = found
    assert cold == warm == again


def test_a_training_gives_the_same_bytes(steps, prepared, tmp_path):
    words = ["retrain", "--images", prepared / "train.h5", "--genome", "1,0.5,2,1,0.25,1", *NETWORK, *CPU]
    words += ["--epochs", "2", "--batch-size", "25", "--learning-rate", "0.1", "--augmentation", "crop"]
    made = []
    for warm in (False, True):
        files = [tmp_path / f"{warm}.h5", tmp_path / f"{warm}.csv", tmp_path / f"{warm}.json"]
        outputs = [word for pair in zip(("--weights", "--history", "--timing"), files, strict=True) for word in pair]
        process = steps.start(*words, *outputs, warm=warm)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        timing = json.loads(files[2].read_text())
        assert timing["command"].startswith("python -m pipeline retrain --images ")
        made.append((read_attributes(files[0])["digest"], files[1].read_bytes()))
    assert made[0] == made[1]


def test_what_differs_from_the_server_starts_as_ever(steps):
    """Each could not be given to a child, or would come too late for a library that was imported before."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**9, 10**9))

    assert steps.is_warm()
    for how in (
        {"variables": {"OMP_NUM_THREADS": "2"}},
        {"variables": {"PYTHONHASHSEED": "7"}},
        {"variables": {"PYTHONUTF8": "0"}},
        {"preexec_fn": limited},
        {"preexec_fn": lambda: os.nice(1)},
        {"preexec_fn": lambda: os.umask(0o077)},
        {"preexec_fn": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN)},
    ):
        assert not steps.is_warm(**how), how
    assert steps.is_warm(variables={"PWD": "/elsewhere", WORKFLOW_PID: str(os.getppid())})


def test_other_processors_start_as_ever(steps):
    several = sorted(os.sched_getaffinity(0))
    if len(several) == 1:
        pytest.skip("there is one processor")
    assert not steps.is_warm(preexec_fn=lambda: os.sched_setaffinity(0, several[:1]))


def test_changed_sources_start_as_ever(tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__", "cpp"))
    program = "import sys; from pipeline.workflow.forkserver import fork_server\n"
    program += "with fork_server() as variables: print(*variables.values(), flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-P", "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    with subprocess.Popen(command, env=environment, **pipes) as keeper:
        steps = Steps(keeper.stdout.readline().strip(), tmp_path, package=tmp_path).warmed()
        assert steps.is_warm()
        (tmp_path / "pipeline/report/new.py").touch()
        assert not steps.is_warm()
        keeper.stdin.close()


# --- how it ends ---


def test_a_signal_reaches_the_training_which_saves_itself(steps, prepared, tmp_path):
    files = ["--weights", tmp_path / "w.h5", "--history", tmp_path / "h.csv", "--timing", tmp_path / "t.json"]
    words = ["retrain", "--images", prepared / "train.h5", "--genome", "1,1,1,1,1,1", *NETWORK, *CPU, *files]
    words += ["--epochs", "100000", "--batch-size", "50", "--learning-rate", "0.1", "--save-minutes", "1e-9"]
    for number in (signal.SIGTERM, signal.SIGINT):
        (tmp_path / "w.state.h5").unlink(missing_ok=True)
        process = steps.start(*words)
        wait_until(lambda process=process: process.poll() is not None or (tmp_path / "w.state.h5").exists())
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + number
        assert f"stopped by {number.name}; the same command goes on from here" in said


def test_ctrl_c_is_told_once(steps):
    process, child = steps.waiting()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and said == "interrupted\n" and gone(child)


def test_a_paused_step_computes_no_more(steps):
    process, child = steps.waiting()
    process.send_signal(signal.SIGTSTP)
    wait_until(lambda: child.status() == psutil.STATUS_STOPPED)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: child.status() != psutil.STATUS_STOPPED)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == -signal.SIGTERM


def test_a_killed_step_leaves_nobody_at_work(steps):
    process, child = steps.waiting()
    assert child.pid != process.pid
    process.kill()
    process.wait()
    wait_until(lambda: gone(child))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_step_ends_by_the_signal_that_ended_its_child(steps, number):
    process, child = steps.waiting()
    child.send_signal(number)
    assert process.wait(PATIENCE) == -number


def test_a_crash_is_a_crash(steps):
    process = steps.probe("crash", steps.path())
    assert process.wait(PATIENCE) == -signal.SIGABRT


def test_when_the_server_is_killed_its_steps_begin_again_by_themselves(own):
    process, child = own.waiting()
    path = own.path()
    server_of(own.address).kill()
    wait_until(lambda: gone(child))
    assert not path.exists()
    begun = own._folder / "1"  # the step has written its process there anew
    wait_until(lambda: begun.read_text() == str(process.pid))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == -signal.SIGTERM
    assert not own.is_warm(), "later ones too"


def test_no_child_outlives_its_server(own):
    """Even where nobody is left to end it."""
    process, child = own.waiting()
    process.send_signal(signal.SIGSTOP)
    server_of(own.address).kill()
    wait_until(lambda: gone(child))
    process.kill()
    process.wait()


def test_a_server_that_does_not_answer_is_not_waited_for(own, monkeypatch):
    """And what was asked of it is not done twice when it wakes up."""
    server = server_of(own.address)
    assert own.is_warm()
    server.suspend()
    path = own.path()
    short = "import runpy, sys; from pipeline.common import handover; handover.PATIENCE = 0.5; sys.argv.pop(0); "
    short += "runpy.run_module('pipeline', run_name='__main__', alter_sys=True)"
    words = ["pipeline", "cost", "--network", f"tests.support.probe:wait@{path}"]
    environment = {**own.environment, ADDRESS: own.address}
    asked = [sys.executable, "-c", short, *words]
    process = subprocess.Popen(asked, env=environment)
    wait_until(lambda: process.poll() is not None or (path.exists() and path.read_text() == str(process.pid)))
    path.unlink()
    server.resume()
    assert own.is_warm()  # it has answered what came before this
    assert not path.exists()
    process.kill()
    process.wait()


KEEPER = """
import sys
from pipeline.workflow.forkserver import fork_server
with fork_server() as variables:
    print(*variables.values(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [True, False])
def test_the_server_ends_with_the_run_when_its_last_step_has(tmp_path, killed):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER], env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)
    steps = Steps(keeper.stdout.readline().strip(), tmp_path).warmed()
    folder = Path(steps.address).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    (server,) = psutil.Process(keeper.pid).children()
    process, child = steps.waiting()
    if killed:
        keeper.kill()
        keeper.wait()
        wait_until(lambda: not folder.exists())
        assert not steps.is_warm(), "nobody is let in any more"
        assert not gone(child) and process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == -signal.SIGTERM
    keeper.communicate()
    wait_until(lambda: gone(server))
    assert not folder.exists()


# --- who may ---


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
NOBODY = 65534


@as_root
def test_another_user_is_shown_the_door(steps):
    folder = Path(steps.address).parent
    program = "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); "
    program += "s.settimeout(20); print(s.recv(64))"
    call = {"user": NOBODY, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "cwd": "/"}
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    assert "PermissionError" in subprocess.run([python, "-c", program, steps.address], **call).stderr
    try:
        folder.chmod(0o711)
        Path(steps.address).chmod(0o777)
        done = subprocess.run([python, "-c", program, steps.address], **call)
    finally:
        folder.chmod(0o700)
    assert done.stdout == "b''\n" or "ConnectionReset" in done.stderr, done.stderr


@as_root
def test_another_users_server_is_told_nothing(steps, tmp_path):
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        pid = os.fork()  # the one who listens counts
        if pid == 0:
            os.setuid(NOBODY)
            listener.listen()
            os._exit(0)
        os.waitpid(pid, 0)
        assert not steps.is_warm(variables={ADDRESS: address})
        guest, _ = listener.accept()
        with guest:
            assert guest.recv(64) == b""


# --- what the server is made of ---

IMPORTING = """
import functools, gc, importlib, json, os, sys, warnings
warnings.simplefilter("ignore")
from pipeline.workflow import forkserver
before = dict(os.environ), list(sys.path), os.listdir("/proc/self/fd")
for name in forkserver.PRELOADED:
    importlib.import_module(name)
wrappers = [o for o in gc.get_objects() if isinstance(o, functools._lru_cache_wrapper)]
filled = [o.__qualname__ for o in wrappers if str(o.__module__).startswith("pipeline") and o.cache_info().currsize]
import torch
after = dict(os.environ), list(sys.path), os.listdir("/proc/self/fd")
threads = len(os.listdir("/proc/self/task"))
print(json.dumps([before == after, filled, threads, torch.cuda.is_initialized(), "matplotlib" in sys.modules]))
"""


def test_importing_all_beforehand_leaves_nothing_behind():
    """No thread, file, variable or remembered answer that a step would find, nor what depends on the working folder."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-P", "-c", IMPORTING], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, [], 1, False, False]


@pytest.mark.parametrize(("flags", "gpu", "cold"), [([], False, False), (["--cold"], False, True), ([], True, True)])
def test_beside_a_gpu_and_on_request_steps_start_cold(tmp_path, monkeypatch, flags, gpu, cold):
    asked: list[bool] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_step, "gpu_is_used", lambda device: gpu)
    monkeypatch.setattr(run_step, "follow", lambda command, title, folder, cold, plan: asked.append(cold) or 1)
    assert main(["run", "--configfile", str(TINY), *flags]) == 1
    assert asked == [cold]


@pytest.mark.slow
def test_a_run_keeps_a_server_unless_it_is_told_not_to(tmp_path):
    """Snakemake sees only who stands in for a step: memory and processor's time are struck out then."""
    table = tmp_path / "results/tiny/benchmarks/prepare_dataset.tsv"
    for flags, known in ([], False), (["--cold"], True):
        done = run(resume("--cores", "1", "results/tiny/data/train.h5", "--forceall", *flags), tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        header, values = (line.split("\t") for line in table.read_text().splitlines())
        found = dict(zip(header, values, strict=True))
        assert float(found["s"]) > 0 and found["h:m:s"].count(":") == 2
        assert all((found[name] != "NA") == known for name in ("max_rss", "cpu_time", "mean_load")), found
