"""From what a person types to a network's file: a row of an experiment, such as ``results/digits/found-A``."""

from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.log import log
from pipeline.workflow.layout import Layout, TrainingFiles, layout_around, trained_seeds


def find_network(path: Path) -> Path:
    """Returns the file of a network: ``path`` itself, or the weights of a row's first seed.

    The first seed, since none can be called the best: a row is trained on all images that are not the test's, and
    choosing by the test's would make its accuracy worthless.

    Args:
        path: a file; ``results/EXPERIMENT/ROW``; or a folder of the row or of one of its seeds.

    Raises:
        UserError: there is neither.
    """
    if path.is_file():
        return path
    alone = TrainingFiles.in_folder(path).weights
    if alone.is_file():
        return alone
    for row in (path, Layout(path.parent).retrainings / path.name):
        networks = trained_seeds(row)
        if networks:
            first = min(networks)
            if len(networks) > 1:
                number = len(networks)
                log(f"{path}: taking seed {first}, the first of {number} (no image is left to choose the best by)")
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


def trained_rows(layout: Layout) -> list[str]:
    """Returns the rows of an experiment that have a trained network, by name."""
    home = layout.retrainings
    folders = sorted(home.iterdir()) if home.is_dir() else []
    return [folder.name for folder in folders if trained_seeds(folder)]


def train_images_of(network: Path) -> Path | None:
    """Returns the images that a network was trained on, if it lies in an experiment that has them."""
    layout = layout_around(network)
    return layout.train if layout else None
