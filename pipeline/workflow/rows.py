"""From what a person types to a network's file: a row of an experiment, such as ``results/digits/found-A``."""

from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.log import log
from pipeline.workflow.layout import Layout, TrainingFiles, layout_around, trained_seeds


def find_network(path: Path | str) -> Path:
    """Returns the file of a network: ``path`` itself, or the weights of a row's first seed.

    The first seed, since none can be called the best: a row is trained on all images that are not the test's, and
    choosing by the test's would make its accuracy worthless.

    Args:
        path: a file; ``results/EXPERIMENT/ROW``; or a folder of the row or of one of its seeds.

    A row's file is compared with what its experiment asks for; a file that is named itself is not. Of one that an
    experiment has made and would make otherwise by now, such as a packed network whose weights were trained anew since,
    a note says so.

    Raises:
        UserError: there is neither, or the row's file comes from another training.
    """
    path = Path(path)
    if path.is_file():
        _note_age(path)
        return path
    alone = TrainingFiles.in_folder(path).weights
    if alone.is_file():
        folder = path.resolve()
        for seed, file in trained_seeds(folder.parent).items():
            if file.parent == folder:
                check_trained(folder.parent, seed, alone)
        return alone
    for row in (path, Layout(path.parent).retrainings / path.name):
        networks = trained_seeds(row)
        if networks:
            first = min(networks)
            if len(networks) > 1 or first > 0:
                gone = " whose weights are there" if first > 0 else ""
                log(f"{path}: taking seed {first}, the first of {len(networks)}{gone}")
            check_trained(row, first, networks[first])
            return networks[first]
    home = Layout(path if Layout(path).retrainings.is_dir() else path.parent)
    rows = trained_rows(home)
    if rows:
        experiment = home.folder == path
        problem = f"{path} is an experiment" if experiment else f"{home.folder} has no trained network '{path.name}'"
        raise UserError(problem, f"name one of its rows: {', '.join(f'{home.folder}/{row}' for row in rows)}")
    raise UserError(
        f"there is no network {path}", "name a row (results/EXPERIMENT/ROW), a file of weights or a packed network"
    )


def _note_age(file: Path) -> None:
    """Says of a file in an experiment's folder that it is of networks or settings before, as far as that is known."""
    from pipeline.workflow.made_with import outdated_files, outlived_files

    layout = next((layout for layout in map(Layout, file.resolve().parents) if layout.made_with.is_file()), None)
    if layout is None:
        return
    if file.resolve() in {other.resolve() for other in (*outdated_files(layout), *outlived_files(layout))}:
        log(f"note: {file} is not what {layout.folder} would make by now: what it was made from, or with, has changed")


def check_trained(row: Path, seed: int, weights: Path) -> None:
    """Compares weights in a row's folder with what its experiment was last run with, as far as that is known.

    Raises:
        UserError: they come from another training, or are damaged.
    """
    from pipeline.common.hdf5 import read_attributes
    from pipeline.search.tables import read_genome
    from pipeline.training.identity import disagreements, row_seed
    from pipeline.workflow.asked import asked_of_row
    from pipeline.workflow.made_with import outdated_files
    from pipeline.workflow.rules import Files
    from pipeline.workflow.saved_config import read_saved_config

    row = row.resolve()
    layout = Layout(row.parent.parent)
    try:
        saved = read_saved_config(layout)
    except UserError as error:
        log(f"note: whether {weights} is what the experiment asks for is not known, since {error}")
        return
    if layout.retrainings != row.parent or saved is None:
        return
    if row.name not in saved.config["models"]:
        log(f"note: the experiment has no row '{row.name}' any more; {weights} is from when it had one")
        return
    asked = asked_of_row(saved.config, row.name)
    asked["seed"] = row_seed(asked["seed"], seed)
    for file in Files(saved.config, layout).genome_file(row.name):
        if file.exists():
            asked["network"]["genome"] = list(read_genome(file))
    if weights.resolve() in outdated_files(layout):
        log(
            f"note: {weights} is of other settings or images than the experiment's, and is trained again when that "
            "runs to its end"
        )
    others = disagreements(read_attributes(weights), asked)
    if others:
        raise UserError(
            f"{weights} comes from another training than the experiment's ({'; '.join(others)})",
            "run the experiment again, or name the file itself to take it as it is",
        )


def trained_rows(layout: Layout) -> list[str]:
    """Returns the rows of an experiment that have a trained network, by name."""
    home = layout.retrainings
    folders = sorted(home.iterdir()) if home.is_dir() else []
    return [folder.name for folder in folders if trained_seeds(folder)]


def rows_asked_for(layout: Layout) -> list[str]:
    """Returns the same in the table's order and without those that the experiment's configuration does not name any
    more, where that is known.
    """
    from pipeline.workflow.saved_config import read_saved_config

    rows = trained_rows(layout)
    try:
        saved = read_saved_config(layout)
    except UserError:
        return rows
    if saved is None:
        return rows
    others = [row for row in rows if row not in saved.models]
    if others:
        log(f"note: left out, since the experiment has no such rows any more: {', '.join(others)}")
    return [row for row in saved.models if row in rows]


def train_images_of(network: Path) -> Path | None:
    """Returns the images that a network was trained on, if it lies in an experiment that has them."""
    layout = layout_around(network)
    return layout.train if layout else None
