# What all rules share: the checked configuration, and what pipeline.workflow makes of it. A rule's params hold the flags
# of its own command and nothing else, so that it runs again exactly when something that it depends on has changed. A
# table of latencies is an input of age unknown: it counts by its digest, which stands among the params.

import sys

sys.path.insert(0, workflow.basedir)

from pipeline.workflow.layout import FIGURE_FORMS, FIGURES, Layout
from pipeline.workflow.rules import Files, Flags, Machine, begin, labelled, note_run, optional_flag

config = begin(workflow, config)
layout = Layout.of(config["experiment"])
flags, files, machine = Flags(config), Files(config), Machine(workflow, config)


wildcard_constraints:
    search="|".join(config["searches"]) or "none",
    model="|".join(config["models"]),
    generation=r"\d{3}",
    shard=r"\d+",
    seed=r"\d+",
    repetition=r"\d+",
