"""Ending a workflow as Ctrl-C in its terminal does, when only we have got a signal.

A terminal sends Ctrl-C to every process that runs in it. A Snakemake that gets it alone waits for its local steps,
which nobody has told.
"""

import os
import select
import signal
import time
from contextlib import suppress
from types import FrameType

import psutil

#: What the command of a step contains, whether its shell, Python or torchrun runs it.
STEP = "-m pipeline "
#: Names the descriptor of a pipe through which Snakemake says that it has got a SIGINT.
HEARD = "BINARY_NAS_HEARD_FD"
#: Seconds in which it does.
PATIENCE = 1.5


def interrupt(pid: int) -> None:
    """Sends SIGINT to a Snakemake and to all processes of its steps, and waits until it has ended.

    A step that Snakemake was about to start is told a little later. What else Snakemake starts, such as the ``scancel``
    for its jobs, must not be told. The shells get the same signal, on which they wait for their step: on SIGTERM they
    would leave it behind, and Snakemake would give the lock away while a training is still saving itself.
    """
    with suppress(psutil.NoSuchProcess):
        snakemake = psutil.Process(pid)
        snakemake.send_signal(signal.SIGINT)
        told: set[psutil.Process] = set()
        while snakemake.is_running() and snakemake.status() != psutil.STATUS_ZOMBIE:
            for process in set(_of_steps(snakemake)) - told:
                told.add(process)
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGINT)
            time.sleep(0.2)


def pass_on(pid: int, heard: int) -> None:
    """Interrupts a Snakemake unless it has got the same SIGINT that we have, as it has if a terminal sent it.

    Args:
        pid: of Snakemake.
        heard: the reading end of the pipe named by ``HEARD``; it is at its end when Snakemake has ended.
    """
    try:
        by_itself = select.select([heard], [], [], PATIENCE)[0]
    except OSError:  # closed: the run has ended in the meantime
        return
    if not by_itself:
        interrupt(pid)


def say_when_interrupted() -> None:
    """Makes Snakemake tell a SIGINT to whoever has started it; the signal then ends the run as ever."""
    number = os.environ.pop(HEARD, "")  # not for the steps
    if not number.isdigit():
        return

    def told(signal_number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(int(number), b"!")
        signal.default_int_handler(signal_number, frame)

    signal.signal(signal.SIGINT, told)


def _of_steps(snakemake: psutil.Process) -> list[psutil.Process]:
    """Returns the processes that run a workflow's steps on this machine."""
    found = []
    for child in snakemake.children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if STEP in " ".join(child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found
