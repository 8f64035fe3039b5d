"""A part of no use, named to a step so that the step imports it and shows what kind of process it runs in.

The step is called with ``tests.support.probe:WORD@PATH``: ``show`` writes what the process is like, ``ask`` whether it
has imported torch already, ``wait`` leaves a trace and waits for a signal, ``crash`` ends without a word.
"""

import gc
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

NAME = "tests.support.probe"


def seen() -> dict[str, object]:
    """What a step can see of its process, except for what no two processes share."""
    streams = [sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__]
    details = ("name", "mode", "encoding", "errors", "line_buffering", "write_through", "newlines")
    limits = [name for name in dir(resource) if name.startswith("RLIMIT")]
    status = Path("/proc/self/status").read_text().splitlines()
    return {
        "argv": [sys.argv, sys.orig_argv, sys.executable],
        "environment": dict(sorted(os.environ.items())),
        "python": [list(sys.flags), sys.path, sys.getrecursionlimit(), sys.getswitchinterval(), gc.get_threshold()],
        "streams": [[getattr(stream, detail) for detail in details] for stream in streams],
        "descriptors": [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)],
        "open": len(list(Path("/proc/self/fd").iterdir())),
        "folder": [str(Path.cwd()), str(Path().resolve())],
        "signals": [str(signal.getsignal(number)).partition(" at ")[0] for number in sorted(signal.valid_signals())],
        "limits": [resource.getrlimit(getattr(resource, name)) for name in limits],
        "priority": [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), os.getsid(0)],
        "status": [line for line in status if line.split(":")[0] in ("Umask", "SigBlk", "SigIgn", "Groups")],
        "threads": len(list(Path("/proc/self/task").iterdir())),
    }


def act() -> None:
    """Does what the word on the command line says."""
    (named,) = [word.partition(":")[2] for word in sys.argv if word.startswith(f"{NAME}:")]
    action, _, path = named.partition("@")
    warm = "torch" in sys.modules
    if action == "ask":
        Path(path).write_text(json.dumps(warm))
    elif action == "show":
        drawn = [random.random()]
        import numpy as np
        import torch

        drawn.append(np.random.random())
        drawn.append(torch.rand(1).item())
        defaults = [torch.get_num_threads(), torch.get_num_interop_threads()]
        Path(path).write_text(json.dumps({"warm": warm, "drawn": drawn, "torch": defaults, **seen()}))
    elif action == "wait":
        Path(path).write_text(str(os.getpid()))
        time.sleep(600)
    elif action == "crash":
        os.abort()


act()
