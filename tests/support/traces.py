"""Work that leaves a trace and then takes long."""

import time
from pathlib import Path


def leave_a_trace(item):
    Path(item).touch()
    time.sleep(60)
