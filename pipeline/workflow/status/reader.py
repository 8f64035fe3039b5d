"""Reading how far an experiment is from its results folder, while others write there or after they have died.

It reads and never writes, needs neither Snakemake nor torch, and takes files as they come: what is missing is not
there yet, what cannot be read is named in ``Reading.problems`` and counts as missing. Artifacts are written whole, so
that two looks see numbers that go up; they go down only where the workflow deletes what it makes again.
"""

from pathlib import Path

from pipeline.workflow.lock import last_run
from pipeline.workflow.status.archive_folder import ArchiveFolder
from pipeline.workflow.status.experiment import Experiment
from pipeline.workflow.status.files import newest, size
from pipeline.workflow.status.logs import log_progress
from pipeline.workflow.status.reading import Reading
from pipeline.workflow.status.search_files import SearchFiles
from pipeline.workflow.status.training_files import TrainingFiles

#: What shows that the images, and the tables and figures, are complete.
_DATA = ("data/train.h5", "data/test.h5", "splits/subset.csv", "splits/validation.csv")
_TABLES = ("tables/results.md", "figures/accuracy.png")


def read_experiment(folder: Path) -> Reading:
    """Reads all that the summary needs. Fails on nothing that lies in the folder."""
    experiment = Experiment(folder)
    trainings, searches = TrainingFiles(experiment), SearchFiles(experiment)
    # The trainings first, the archive last: what is done by then is seen, and nothing twice.
    supernet, rows, proposals = trainings.supernet(), trainings.rows(), searches.proposals()
    archive = ArchiveFolder(folder / "archive", experiment.expected, experiment.files.complain)
    searched = searches.searches(proposals, archive)
    preparing = log_progress(folder / "logs" / "prepare_dataset.log")
    return Reading(
        name=folder.resolve().name,
        planned=experiment.config is not None,
        data=all(size(folder / name) for name in _DATA),
        images_done=preparing.done if preparing else None,
        images_total=preparing.total if preparing else None,
        supernet=supernet,
        searches=searched,
        rows=rows,
        archived=archive.entries,
        damaged=archive.damaged,
        recent=archive.recent(),
        tables=all(size(folder / name) for name in _TABLES),
        run=last_run(folder),
        newest=newest(folder),
        problems=experiment.files.problems,
    )
