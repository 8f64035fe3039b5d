"""The configuration as the workflow's rules need it: flags of their commands, files and resources.

A rule file says what is made from what, by which command; everything that is computed for it is computed here, so that
it can be read, typed and tested without Snakemake.
"""

from pipeline.workflow.rules.files import Files
from pipeline.workflow.rules.flags import Flags, labelled, optional_flag
from pipeline.workflow.rules.machine import Machine
from pipeline.workflow.rules.start import begin, note_run

__all__ = ["Files", "Flags", "Machine", "begin", "labelled", "note_run", "optional_flag"]
