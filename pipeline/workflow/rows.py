"""From what a person types to a network's file: a row of an experiment, such as ``results/digits/found-A``."""

import re
from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.common.log import log

_SEED = re.compile(r"seed_(\d+)")


def find_network(path: Path) -> Path:
    """The file of a network: ``path`` itself, or the weights of a row's first seed.

    The first seed, since none can be called the best: a row is trained on all images that are not the test's, and
    choosing by the test's would make its accuracy worthless.

    Args:
        path: a file; ``results/EXPERIMENT/ROW``; or a folder of the row or of one of its seeds.

    Raises:
        UserError: there is neither.
    """
    if path.is_file():
        return path
    if (path / "weights.h5").is_file():
        return path / "weights.h5"
    for folder in (path, path.parent / "retrain" / path.name):
        seeds = _trained_seeds(folder)
        if seeds:
            first = min(seeds)
            if len(seeds) > 1:
                log(f"{path}: taking seed {first}, the first of {len(seeds)} (no image is left to choose the best by)")
            return folder / f"seed_{first}" / "weights.h5"
    home = path if (path / "retrain").is_dir() else path.parent
    rows = trained_rows(home)
    if rows:
        problem = f"{path} is an experiment" if home == path else f"{home} has no trained network '{path.name}'"
        raise UserError(problem, f"name one of its rows: {', '.join(f'{home}/{row}' for row in rows)}")
    raise UserError(
        f"there is no network {path}", "name a row (results/EXPERIMENT/ROW), a file of weights or a packed network"
    )


def trained_rows(experiment: Path) -> list[str]:
    """The rows of an experiment's folder that have a trained network, by name."""
    home = experiment / "retrain"
    folders = sorted(home.iterdir()) if home.is_dir() else []
    return [folder.name for folder in folders if _trained_seeds(folder)]


def _trained_seeds(folder: Path) -> list[int]:
    files = folder.glob("seed_*/weights.h5")
    return [int(match[1]) for file in files if (match := _SEED.fullmatch(file.parent.name))]
