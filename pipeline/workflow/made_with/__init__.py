"""The settings that each file of an experiment was made with, kept with the files wherever they are taken.

Snakemake notes them in ``.snakemake`` of the folder in which it runs, and takes a file of which it knows nothing for up
to date. A folder of results that is moved or copied without ``.snakemake`` would then be told to be finished, whatever
the configuration says. So ``results/EXPERIMENT/made_with.jsonl`` holds Snakemake's records as well: a line whenever a
job starts or ends, the last one of each file counts. A folder of results that was last run elsewhere brings its records
along; those that lie here, of whatever lay here before, give way to them. So do others that say something else of a
file: Snakemake writes in place, and a copy of its folder by hard links is written along with it.
"""

from pipeline.workflow.made_with.bring import bring_records
from pipeline.workflow.made_with.configured import about_config, note_config
from pipeline.workflow.made_with.differences import changes
from pipeline.workflow.made_with.keep import keep_records
from pipeline.workflow.made_with.outdated import about_outdated, note_up_to_date, outdated_files
from pipeline.workflow.made_with.strangers import about_strange, outlived_files, strange_files

__all__ = [
    "about_config",
    "about_outdated",
    "about_strange",
    "bring_records",
    "changes",
    "keep_records",
    "note_config",
    "note_up_to_date",
    "outdated_files",
    "outlived_files",
    "strange_files",
]
