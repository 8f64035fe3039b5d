"""Training one network to the end and writing what became of it: the supernet, and every row of the table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pipeline import METHOD_VERSION
from pipeline.archive import digest_of
from pipeline.errors import UserError
from pipeline.files import write_csv, write_json
from pipeline.hardware import describe_machine, resolve
from pipeline.model import Network, initialise
from pipeline.networks import NetworkSpec
from pipeline.prepared import load_images, read_info
from pipeline.progress import log
from pipeline.provenance import provenance, versions
from pipeline.randomness import seed_for
from pipeline.saving import SavedState, train
from pipeline.settings import ExecutionSettings, TrainingSettings
from pipeline.tensors import write_tensors
from pipeline.training import DivergedError, Training

HISTORY = ("epoch", "learning_rate", "loss", "top1")


@dataclass(frozen=True)
class Recipe:
    """What to train, how, and from which seed.

    Attributes:
        spec: the network.
        settings: of the training.
        execution: where it runs.
        seed: of the weights, order and augmentation.
        task: for progress lines.
        save_minutes: between two saved states.
        loaders: processes that decode photographs.
    """

    spec: NetworkSpec
    settings: TrainingSettings
    execution: ExecutionSettings
    seed: int
    task: str
    save_minutes: float
    loaders: int


def train_network(
    recipe: Recipe,
    images: Path,
    indices: Sequence[int] | None,
    weights: Path,
    history: Path,
    timing: Path,
) -> None:
    """Trains and writes weights (HDF5), the curve (CSV) and what it took (JSON); the weights come last.

    Args:
        recipe: what and how.
        images: the prepared train set.
        indices: which of its images; None for all.
        weights, history, timing: files to write.

    Raises:
        UserError: the training diverged, a file is damaged or cannot be written.
        StoppedError: asked to end; the state is saved.
    """
    execution = resolve(recipe.execution)
    execution.apply()
    spec = recipe.spec
    log(f"{recipe.task}: {spec.title}, {execution.precision} on {describe_machine(execution.device_type)}")
    source = load_images(images, execution.device, indices, recipe.loaders)
    network = Network(spec)
    initialise(network, torch.Generator().manual_seed(seed_for("weights", recipe.seed)))
    training = Training(network, source, recipe.settings, recipe.seed, execution)
    identity = {
        "network": asdict(spec),
        "settings": asdict(recipe.settings),
        "seed": recipe.seed,
        "images": read_info(images).digest,
        "subset": None if indices is None else digest_of(list(indices)),
        "execution": [execution.device_type, execution.precision, execution.threads],
        "method": METHOD_VERSION,
    }
    saved = SavedState(weights.with_name(f"{weights.stem}.state.h5"), identity)
    try:
        train(training, saved, recipe.task, recipe.save_minutes)
    except DivergedError as error:
        raise UserError(f"the {recipe.task} of {spec.title} diverged ({error})", "lower its learning rate") from None
    rows = [{key: f"{value:.6g}" for key, value in asdict(epoch).items()} for epoch in training.history]
    write_csv(history, HISTORY, rows)
    record = {"seconds": round(saved.seconds(), 2), "device": execution.device_type, "threads": execution.threads}
    record["machine"] = describe_machine(execution.device_type)
    write_json(timing, {**record, **provenance()})
    tensors = {name: tensor.cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}
    write_tensors(weights, tensors, {**identity, "precision": execution.precision, "versions": versions()})
    saved.remove()
