"""Makes memory really run out: a limit on this process, a little above what it has; or ``pipeline STEP`` under one."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def limit_memory(megabytes: int) -> None:
    """From now on this process gets so much more and then errors, which torch and its libraries report."""
    words = STATUS.read_text().split()
    limit = 1024 * int(words[words.index("VmData:") + 1]) + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    import torch

    from pipeline.__main__ import main

    torch.nn.functional.conv2d(torch.zeros(2, 1, 8, 8), torch.zeros(8, 1, 3, 3))  # what is loaded at the first step
    limit_memory(int(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
