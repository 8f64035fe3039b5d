"""Ingredients of a training recipe: weights that stay real for some epochs, and a teacher."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import write_tensors
from pipeline.kernels import library
from pipeline.kernels.build import CompilationError
from pipeline.networks.binary.binarisers import BINARISERS
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.module import Network, initialise
from pipeline.training.execution import Execution
from pipeline.training.loop import Training
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher, TeacherFile
from tests.support.trainings import SETTINGS, SPEC, finish, same, start


@pytest.fixture(autouse=True)
def kernels():
    try:
        library.load()
    except CompilationError as error:
        pytest.skip(str(error))


STAGES = replace(SETTINGS, real_weight_epochs=2)
PLAIN, COMPILED = (Execution("cpu", "float32", 1, kernels=kernels) for kernels in ("torch", "compiled"))


def real(training: Training) -> set[bool]:
    return {module.real_weight for module in training.network.modules() if isinstance(module, BinaryConvolution)}


@pytest.mark.parametrize("execution", [PLAIN, COMPILED], ids=["torch", "compiled"])
def test_weights_are_real_for_some_epochs_and_binary_in_the_end(digits, execution):
    training = start(digits, STAGES, execution=execution)
    execution.apply()
    seen = []
    for _ in training.steps():
        seen.append((training.epoch - (training.step == 0), *real(training)))
    assert dict(seen) == {0: True, 1: True, 2: False} and len(set(seen)) == 3
    assert real(training) == {False}
    assert (training._backprop is not None) == (execution is COMPILED), "without autograd, as soon as it can"
    assert not same(training, finish(start(digits, execution=execution)))


def test_a_real_weight_is_taken_as_it_is_and_the_input_binarised():
    x = torch.rand(2, 3, 6, 6)
    module = BinaryConvolution(3, 4, 3, padding=1)
    module.real_weight = True
    bits = BINARISERS["dorefa"].binarise_activation(x, torch.float32)
    torch.testing.assert_close(module(x), F.conv2d(bits, module.weight, padding=1))
    assert not module.compiled


@pytest.mark.parametrize("stop", [3, 8, 9])
@pytest.mark.parametrize("execution", [PLAIN, COMPILED], ids=["torch", "compiled"])
def test_going_on_within_either_stage_gives_the_same_bytes(digits, stop, execution):
    execution.apply()
    interrupted = start(digits, STAGES, execution=execution)
    for _, _ in zip(range(stop), interrupted.steps(), strict=False):
        pass
    resumed = start(digits, STAGES, execution=execution)
    resumed.restore(interrupted.state())
    assert same(finish(resumed), finish(start(digits, STAGES, execution=execution)))


def test_a_cosine_starts_anew_when_weights_become_binary():
    settings = TrainingSettings(epochs=6, batch_size=2, learning_rate=1.0, real_weight_epochs=2)
    assert [settings.rate_at(epoch) for epoch in (0, 1, 2, 4)] == pytest.approx([1, 0.5, 1, 0.5])
    milestones = replace(settings, schedule="milestones", milestones=(1, 4), gamma=0.1)
    assert [milestones.rate_at(epoch) for epoch in (0, 1, 2, 4)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_weights_that_never_become_binary_are_refused(digits):
    with pytest.raises(ValueError, match="become binary"):
        start(digits, replace(SETTINGS, real_weight_epochs=3))


def teacher_of(weight: float) -> Teacher:
    network = Network(replace(SPEC, binary=False))
    initialise(network, torch.Generator().manual_seed(5))
    return Teacher(network, weight)


def taught(digits, weight: float, execution: Execution = PLAIN) -> Training:
    network = Network(SPEC)
    initialise(network, torch.Generator().manual_seed(0))
    return Training(network, digits, SETTINGS, 0, execution, teacher=teacher_of(weight))


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_a_teachers_answers_take_the_labels_place(digits, weight):
    """Against the Kullback-Leibler divergence and the cross-entropy, summed by hand in a plain loop."""
    network, teacher = Network(SPEC), teacher_of(weight).network.eval()
    initialise(network, torch.Generator().manual_seed(0))
    network.to(memory_format=torch.channels_last)
    PLAIN.apply()
    ours = taught(digits, weight)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=SETTINGS.weight_decay)
    # A single step: bits that rounding turns, otherwise on each kind of processor, lead both apart in the next ones.
    x, y = next(iter(digits.batches(ours._plan(), SETTINGS.augmentation, ("augment", 0, 0))))
    next(ours.steps())
    optimizer.param_groups[0]["lr"] = SETTINGS.rate_at(0)
    logits = network(x)
    with torch.no_grad():
        told = teacher(x).softmax(1)
    apart = F.kl_div(logits.log_softmax(1), told, reduction="batchmean")
    (weight * apart + (1 - weight) * F.cross_entropy(logits, y)).backward()
    optimizer.step()
    for (name, a), b in zip(ours.network.named_parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name, rtol=1e-4, atol=1e-6)


def test_a_teacher_stays_what_it_is(digits):
    teacher = teacher_of(1.0)
    before = copy.deepcopy(teacher.network.state_dict())
    network = Network(SPEC)
    initialise(network, torch.Generator().manual_seed(0))
    finish(Training(network, digits, SETTINGS, 0, PLAIN, teacher=teacher))
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.network.state_dict().items())


def test_compiled_kernels_learn_from_a_teacher_too(digits):
    PLAIN.apply()
    plain = finish(taught(digits, 0.5))
    COMPILED.apply()
    compiled = finish(taught(digits, 0.5, COMPILED))
    assert compiled._backprop is not None
    assert compiled.history[0].loss == pytest.approx(plain.history[0].loss, rel=0.02)
    assert not same(compiled, finish(start(digits, execution=COMPILED)))


@pytest.mark.parametrize("change", [{"size": 16}, {"channels": 3}, {"classes": 7}])
def test_a_teacher_of_other_images_is_refused(tmp_path, change):
    spec = replace(SPEC, binary=False, **change)
    file = tmp_path / "teacher.h5"
    tensors = {name: tensor.numpy() for name, tensor in Network(spec).state_dict().items()}
    write_tensors(file, tensors, {"network": spec.record()})
    (name,) = change
    with pytest.raises(UserError, match=f"has {name} {change[name]}, the network that is to learn from it"):
        Teacher.read(TeacherFile(file, 1.0), SPEC)
    assert Teacher.read(TeacherFile(file, 0.5), spec).weight == 0.5
