"""Tells whoever has started Snakemake what it does: each event as one line of JSON, through a pipe.

Snakemake finds a logger plugin by its package's name. It is handed events with their values (which job, its rule, its
log), where Snakemake's text has to be guessed at line by line, and differs with its settings and versions.
"""

import json
import os
from contextlib import suppress
from logging import LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase

#: Names the descriptor of the pipe. Without it, nothing is told.
EVENTS = "BINARY_NAS_EVENTS_FD"
#: What is told of an event, under the names that Snakemake gives.
TOLD = {
    "run_info": ("stats",),
    "job_info": ("jobid", "rule_name", "wildcards", "log", "benchmark"),
    "job_finished": ("job_id",),
    "job_error": ("jobid", "rule_name", "rule_msg", "log"),
    "group_error": ("msg", "aux_logs"),
    "progress": ("done", "total"),
}


class LogHandler(LogHandlerBase):
    """Writes events into the pipe; Snakemake's own output stays as it is."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True  # the usual one would keep from us what the user does not want to see
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Finds the pipe."""
        number = os.environ.get(EVENTS, "")
        self._pipe = int(number) if number.isdigit() else None

    def emit(self, record: LogRecord) -> None:
        """Tells one event."""
        event = getattr(record, "event", None)
        names = TOLD.get(str(event))
        if self._pipe is None or names is None:
            return
        values: dict[str, Any] = {name: getattr(record, name, None) for name in names}
        line = json.dumps({"event": str(event), **values}, default=str) + "\n"
        with suppress(OSError):  # nobody listens any more
            rest = line.encode()
            while rest:
                rest = rest[os.write(self._pipe, rest) :]
