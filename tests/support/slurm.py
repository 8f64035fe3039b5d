"""A real SLURM of one node on this machine, in a folder of its own, for the tests of the cluster profile.

Three daemons (munged, slurmctld, slurmd) on the loopback interface: no accounting, no cgroups, two GPUs that are
/dev/null. They need root, and SLURM's programs: Debian's packages slurm-wlm and munge. By hand, to try commands on:

    python -m tests.support.slurm FOLDER
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.workflow import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo", "setpriv")
#: Where SLURM's programs look without being told: the job step drops variables such as SLURM_CONF.
SYSTEM = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
CPUS, MEMORY, GPUS = 4, 64_000, 2  # what the node pretends to have, so that its jobs may overlap

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is queued again waits until its credential has expired (120 seconds where nothing is said).
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/control
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
ReturnToService=2
MinJobAge=3600
KillWait=10
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
# Without GPUs, and only to be looked at.
NodeName=nowhere NodeAddr=127.0.0.2 CPUs=1 RealMemory=1000 State=DOWN
PartitionName=other Nodes=nowhere MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no SLURM can be brought up here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root"
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if absent:
        return f"{absent[0]} is not installed (Debian: slurm-wlm and munge)"
    if _another_is_there():
        return f"{SYSTEM} belongs to another SLURM"
    return ""


def _another_is_there() -> bool:
    """Whether this machine is part of a cluster, or another test's SLURM runs on it."""
    files = [SYSTEM / name for name in FILES]
    if any(file.exists() and not file.is_symlink() for file in files):
        return True
    return any(file.exists() for file in files) and "is UP" in ask("scontrol", "ping")


class Slurm:
    """The node and its controller, from ``with`` to the end of the block.

    Args:
        folder: for everything that the daemons write; it must not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Slurm":
        try:
            self.folder.mkdir(parents=True)
            self._start_munge()
            self._configure()
            self._daemon("slurmctld", "-D", "-f", f"{self.folder}/slurm.conf")
            self._daemon("slurmd", "-D", "-f", f"{self.folder}/slurm.conf", "-N", _host())
            self._wait_for(lambda: "idle" in ask("sinfo", "--noheader", "--format=%T"))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _start_munge(self) -> None:
        # The daemon refuses folders that others could write, and others must reach its socket.
        munge = self.folder / "munge"
        munge.mkdir(mode=0o755)
        key = munge / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        words = [f"--key-file={key}", f"--socket={munge}/munge.socket", f"--pid-file={munge}/munged.pid"]
        words += [f"--log-file={munge}/munged.log", f"--seed-file={munge}/seed", "--num-threads=2", "--force"]
        self._daemon("munged", "--foreground", *words)
        self._wait_for((munge / "munge.socket").exists)

    def _configure(self) -> None:
        host, (control, node) = _host(), _free_ports(2)
        gpus = [self.folder / f"gpu{number}" for number in range(GPUS)]
        for gpu in gpus:
            os.mknod(gpu, stat.S_IFCHR | 0o666, Path("/dev/null").stat().st_rdev)
        text = CONFIGURATION.format(
            folder=self.folder, host=host, control_port=control, node_port=node, cpus=CPUS, memory=MEMORY, gpus=GPUS
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text("".join(f"NodeName={host} Name=gpu File={gpu}\n" for gpu in gpus))
        (self.folder / "control").mkdir()
        (self.folder / "node").mkdir()
        SYSTEM.mkdir(exist_ok=True)
        for name in FILES:
            (SYSTEM / name).unlink(missing_ok=True)  # the dangling link of a test that was killed
            (SYSTEM / name).symlink_to(self.folder / name)

    def _daemon(self, program: str, *words: str) -> None:
        """Starts a daemon in the foreground; the kernel ends it should this process die first."""
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        command = ["setpriv", "--pdeathsig", "TERM", shutil.which(program, path=path) or program, *words]
        with open(self.folder / f"{program}.out", "wb") as output:
            self._daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        with suppress(TimeoutError):
            wait_until(lambda: ready() or any(daemon.poll() is not None for daemon in self._daemons))
        if not ready():
            outputs = [path.read_text() for path in sorted(self.folder.glob("*.out"))]
            raise RuntimeError("SLURM did not come up:\n" + "\n".join(outputs))

    def stop(self) -> None:
        """Ends jobs, then the daemons, and takes the links away."""
        if len(self._daemons) == 3:
            ask("scancel", "--partition=main")
            with suppress(TimeoutError):
                wait_until(lambda: not ask("squeue", "--noheader"))
        while self._daemons:
            _end(self._daemons.pop())
        for name in FILES:
            link = SYSTEM / name
            if link.is_symlink() and link.readlink() == self.folder / name:
                link.unlink()


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def ask(*words: object) -> str:
    """What a program of SLURM prints; empty where it fails."""
    return subprocess.run([*map(str, words)], capture_output=True, text=True).stdout


if __name__ == "__main__":
    problem = missing()
    if problem:
        sys.exit(problem)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Slurm(Path(sys.argv[1]).resolve()):
        print("SLURM is up; Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
