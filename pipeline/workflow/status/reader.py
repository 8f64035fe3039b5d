"""Reading how far an experiment is from its results folder, while others write there or after they have died.

It reads and never writes, needs neither Snakemake nor torch, and takes files as they come: what is missing is not
there yet, what cannot be read is named in ``Reading.problems`` and counts as missing. Artifacts are written whole, so
that two looks see numbers that go up; they go down only where the workflow deletes what it makes again.
"""

from pathlib import Path

from pipeline.workflow.layout import FIGURE_FORMS, FIGURES, Layout
from pipeline.workflow.lock import last_run
from pipeline.workflow.made_with import about_config
from pipeline.workflow.status.archive_folder import ArchiveFolder
from pipeline.workflow.status.experiment import Experiment
from pipeline.workflow.status.failures import failures
from pipeline.workflow.status.files import newest, size
from pipeline.workflow.status.logs import log_progress
from pipeline.workflow.status.reading import Reading
from pipeline.workflow.status.repeated_files import Repeated
from pipeline.workflow.status.search_files import Searches
from pipeline.workflow.status.training_files import Trainings


def read_experiment(layout: Layout, *, look_at_images: bool = False) -> Reading:
    """Reads all that the summary needs. Fails on nothing that lies in the folder.

    Args:
        layout: of the experiment.
        look_at_images: compare them with those that were prepared, which takes a look at each file.
    """
    experiment = Experiment(layout)
    trainings, searches, repeated = Trainings(experiment), Searches(experiment), Repeated(experiment)
    # The trainings first, the archive last: what is done by then is seen, and nothing twice.
    supernet, rows, proposals = trainings.supernet(), trainings.rows(), searches.proposals()
    finalists, sample = repeated.finalists(), repeated.sample()
    archive = ArchiveFolder(layout.archive, experiment.expected, experiment.files.complain)
    searched = searches.searches(proposals, archive)
    before = layout.train in experiment.outdated  # begun anew, it would not be there; so the log is of what made it
    preparing, run = None if before else log_progress(layout.log("prepare_dataset")), last_run(layout)
    return Reading(
        name=layout.experiment,
        planned=experiment.config is not None,
        data=all(map(size, _data(experiment))),
        images_done=preparing.done if preparing else None,
        images_total=preparing.total if preparing else None,
        supernet=supernet,
        searches=searched,
        rows=rows,
        finalists=finalists,
        sample=sample,
        archived=archive.entries,
        damaged=archive.damaged,
        recent=archive.recent(),
        tables=all(map(size, (layout.tables.results, layout.figure(FIGURES[0], FIGURE_FORMS[0])))),
        run=run,
        newest=newest(layout.folder),
        problems=experiment.files.problems,
        outdated=_outdated(experiment),
        strange=tuple(map(str, sorted(experiment.strange))),
        other_config=about_config(layout),
        failed=failures(layout.logs, run),
        other_images=_other_images(experiment) if look_at_images else "",
    )


def _other_images(experiment: Experiment) -> str:
    if experiment.config is None:
        return ""
    from pipeline.workflow.sources import about_changed, have_changed

    config = experiment.config.config
    return about_changed(config) if have_changed(config, experiment.layout) else ""


def _data(experiment: Experiment) -> tuple[Path, ...]:
    """Returns the files of prepared images. Divided they are for searches alone."""
    layout, config = experiment.layout, experiment.config
    divided = (layout.subset, layout.validation) if config is None or config.searches else ()
    return (layout.train, layout.test, *divided)


def _outdated(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """Returns the files of settings before, by the stage that makes them again."""
    layout = experiment.layout
    stages = {
        "data": (layout.train.parent, layout.subset.parent),
        "supernet": (layout.supernet.weights.parent,),
        "search": (layout.searches,),
        "finalists": (layout.finalists("any").folder.parent,),
        "proxy": (layout.sample.folder,),
        "retraining": (layout.retrainings,),
        "evaluation": (layout.measurements,),
    }
    found: dict[str, tuple[str, ...]] = {}
    for file in sorted(experiment.outdated):
        stage = next((stage for stage, homes in stages.items() if any(map(file.is_relative_to, homes))), "tables")
        found[stage] = (*found.get(stage, ()), str(file))
    return found
