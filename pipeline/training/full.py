"""Training one network in full and writing its files: the supernet, and every row of the table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pipeline.common.digests import digest_of
from pipeline.common.errors import StoppedError, UserError
from pipeline.common.files import write_csv, write_record
from pipeline.common.hdf5 import write_tensors
from pipeline.common.log import log
from pipeline.common.provenance import provenance, versions
from pipeline.common.randomness import seed_for
from pipeline.common.stopping import NO_LIMIT, StopRequests
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info, verify_images
from pipeline.data.preprocessing import Preprocessing
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.arithmetic import arithmetic_of, settle
from pipeline.training.checkpoint import SavedState, train
from pipeline.training.distributed import World, joined, local_rank
from pipeline.training.execution import describe_machine
from pipeline.training.identity import state_file, training_identity
from pipeline.training.kept import FinishedTraining
from pipeline.training.loop import DivergedError, Training
from pipeline.training.memory import enough_memory
from pipeline.training.settings import ExecutionSettings, TrainingSettings
from pipeline.training.teacher import Teacher, TeacherFile

HISTORY = ("epoch", "learning_rate", "loss", "top1")


@dataclass(frozen=True)
class Recipe:
    """A training to be done: of what, how, and from which seed.

    Attributes:
        spec: the network.
        settings: of the training.
        execution: where it runs.
        seed: of the weights, order and augmentation.
        task: for progress lines.
        save_minutes: between two saved states.
        finished: the folder in which finished trainings are kept; None to keep none, and to train whatever is there.
        loaders: processes that decode photographs, for each process of the training.
        processes: how many take every step together, each with its part of the batch; torchrun must have started so
            many. None for as many as it has, or one without it.
        arithmetic: where the experiment's device, precision and kernels are settled; None to settle for this training.
        teacher: from whose answers it learns too; None for the labels alone.
    """

    spec: NetworkSpec
    settings: TrainingSettings
    execution: ExecutionSettings
    seed: int
    task: str
    save_minutes: float
    finished: Path | None
    loaders: int
    processes: int | None = None
    arithmetic: Path | None = None
    teacher: TeacherFile | None = None


class Outputs(NamedTuple):
    """The files to write: the trained network (HDF5), its curve (CSV) and what it took (JSON)."""

    weights: Path
    history: Path
    timing: Path


def train_network(
    recipe: Recipe,
    images: Path,
    indices: Sequence[int] | None,
    outputs: Outputs,
    stops: StopRequests = NO_LIMIT,
) -> None:
    """Trains and writes the outputs, the weights last; or takes them over from a finished training that is the same.

    Where torchrun has started several processes, each calls this, and the first one writes.

    Args:
        recipe: what and how.
        images: the prepared train set.
        indices: which of its images; None for all.
        outputs: files to write.
        stops: what can ask this process to end.

    Raises:
        UserError: the training diverged, a file is damaged or cannot be written, or there are not as many processes as
            the recipe says, or memory did not suffice.
        StoppedError: asked to end; the state is saved.
    """
    work = f"the {recipe.task} of {recipe.spec.title}"
    remedy = "lower its batch_size, or raise execution.processes, so that several GPUs share every batch"
    # Each process that it happens to says so: the others may have had enough memory.
    with joined(recipe.processes) as world, enough_memory(work, remedy):
        try:
            _train_in(world, recipe, images, indices, outputs, stops)
        except DivergedError as error:
            raise world.said_once(UserError(f"{work} diverged ({error})", "lower its learning rate")) from None
        except StoppedError as stopped:
            raise world.said_once(stopped) from None


def _train_in(
    world: World,
    recipe: Recipe,
    images: Path,
    indices: Sequence[int] | None,
    outputs: Outputs,
    stops: StopRequests,
) -> None:
    execution = settle(recipe.execution, recipe.arithmetic, local_rank())
    execution.apply()
    machine = describe_machine(execution.device_type)
    several = "" if world.alone else f", {world.size} processes"
    log(f"{recipe.task}: {recipe.spec.title}, {execution.precision} on {machine}{several}")
    identity = training_identity(
        recipe.spec,
        recipe.settings,
        seed=recipe.seed,
        images=read_info(images).digest,
        subset=None if indices is None else digest_of(list(indices)),
        execution=execution.identity,
        teacher=None if recipe.teacher is None else recipe.teacher.identity,
    )
    saved = SavedState(state_file(outputs.weights), identity, world.size, arithmetic_of(execution))
    kept = FinishedTraining(recipe.finished, {**identity, "processes": world.size}) if recipe.finished else None
    if world.agree(int(world.first and kept is not None and kept.take(outputs))):
        log(f"{recipe.task}: it was trained before, and is taken from {recipe.finished}")
        saved.remove()
        return
    verify_images(images)
    source = load_images(images, execution.device, indices, recipe.loaders)
    network = Network(recipe.spec)
    initialise(network, torch.Generator().manual_seed(seed_for("weights", recipe.seed)))
    teacher = None if recipe.teacher is None else Teacher.read(recipe.teacher, recipe.spec)
    training = Training(network, source, recipe.settings, recipe.seed, execution, world, teacher=teacher)
    train(training, saved, recipe.task, recipe.save_minutes, stops)
    if world.first:
        _write(outputs, training, identity, images, saved, machine)
        if kept is not None:
            kept.keep(outputs)
        saved.remove()


def _write(
    outputs: Outputs, training: Training, identity: dict[str, Any], images: Path, saved: SavedState, machine: str
) -> None:
    execution, world = training.execution, training.world
    rows = [{key: f"{value:.6g}" for key, value in asdict(epoch).items()} for epoch in training.history]
    write_csv(outputs.history, HISTORY, rows)
    record = {"seconds": round(saved.seconds(), 2), "device": execution.device_type, "threads": execution.threads}
    processes = {} if world.alone else {"processes": world.size}
    write_record(
        outputs.timing, {**record, **processes, "machine": machine, "arithmetic": saved.arithmetic, **provenance()}
    )
    tensors = {name: tensor.cpu().contiguous().numpy() for name, tensor in training.network.state_dict().items()}
    made_with = {"precision": execution.precision, **processes, "versions": versions()}
    info = read_info(images)
    # What the network needs to answer, so that its file is enough.
    about = {"dataset": info.dataset, "classes": list(info.classes), "preprocessing": Preprocessing.of(info).record}
    write_tensors(outputs.weights, tensors, {**identity, **made_with, **about})
