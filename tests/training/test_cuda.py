"""Trainings on a GPU: recorded steps are the steps, and they agree with the CPU's."""

import gc

import pytest
import torch

from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.networks.binary.convolution import BinaryConvolution
from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.execution import Execution
from pipeline.training.loop import DivergedError, Training
from pipeline.training.replay import WARM_UP
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import TrainingSettings
from pipeline.training.teacher import Teacher
from pipeline.training.turns import in_turns
from tests.support.execution import CPU
from tests.support.trainings import SETTINGS, SPEC, finish, same, start

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

CUDA = Execution("cuda", "float32", 1)
#: Fifteen steps: three to warm up and twelve replayed, over three learning rates.
MILESTONES = TrainingSettings(
    epochs=3, batch_size=40, learning_rate=0.1, schedule="milestones", milestones=(1, 2), gamma=0.1, augmentation="crop"
)


@pytest.fixture(scope="module", autouse=True)
def _exact():
    """Products in float32 itself and algorithms that give the same every time."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before


@pytest.fixture(scope="module")
def on_gpu() -> ImagesInMemory:
    """The digits of the fixture ``digits``, on the GPU."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = torch.from_numpy((data.images[:200] * 15.9).astype("uint8"))[..., None]
    labels = torch.from_numpy(data.target[:200])
    return ImagesInMemory(pixels, labels, Normalisation((0.3,), (0.35,)), CUDA.device)


def training_on(images, settings=SETTINGS, execution=CUDA, spec=SPEC, seed=0, *, replayed=True):
    training = start(images, settings, seed, spec, execution)
    return Training(training.network, images, settings, seed, execution, replayed=replayed)


def losses(training):
    return [epoch.loss for epoch in training.history]


def test_batches_are_those_of_the_cpu(digits, on_gpu):
    plan = list(torch.randperm(200, generator=torch.Generator().manual_seed(0)).split(40))
    pairs = zip(digits.batches(plan, "crop-flip", (1,)), on_gpu.batches(plan, "crop-flip", (1,)), strict=True)
    for (x, y), (x_gpu, y_gpu) in pairs:
        assert torch.equal(y, y_gpu.cpu())
        assert x_gpu.stride() == x.stride()
        torch.testing.assert_close(x, x_gpu.cpu(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("precision", "off"), [("float32", 0.02), ("bfloat16", 0.1)])
def test_replayed_steps_are_the_launched_ones(on_gpu, precision, off):
    execution = Execution("cuda", precision, 1)
    replayed, launched = (
        finish(training_on(on_gpu, MILESTONES, execution, replayed=replayed)) for replayed in (True, False)
    )
    assert losses(replayed) == pytest.approx(losses(launched), rel=off)
    # The second and third epochs' rates: a rate that was recorded with the step would be the first one for ever.
    for name, tensor in launched.network.state_dict().items():
        other = replayed.network.state_dict()[name]
        assert (tensor - other).float().norm() <= 3 * off * tensor.float().norm() + 1e-6, name


@pytest.mark.parametrize("more", [{"optimizer": "adam", "learning_rate": 0.01}, {"real_weight_epochs": 1}, {}])
def test_steps_of_other_recipes_are_recorded_too(on_gpu, capsys, more):
    """Two recordings where weights are real at first; and a teacher whose answers are part of a step."""
    settings = TrainingSettings(**({"epochs": 3, "batch_size": 20, "learning_rate": 0.1} | more))
    network = Network(SPEC.at_width(0.25))
    initialise(network, torch.Generator().manual_seed(0))
    teacher = None if more else Teacher(training_on(on_gpu).network.requires_grad_(False), 0.5)
    training = finish(Training(network, on_gpu, settings, 0, CUDA, teacher=teacher))
    assert "cannot be recorded" not in capsys.readouterr().err
    assert losses(training)[-1] < losses(training)[0]


def test_steps_are_recorded(on_gpu, capsys):
    training = training_on(on_gpu)
    steps = training.steps()
    for _ in range(WARM_UP + 2):
        next(steps)
    assert "cannot be recorded" not in capsys.readouterr().err
    before = {name: p.clone() for name, p in training.network.named_parameters()}
    next(steps)
    assert all(not torch.equal(before[name], p) for name, p in training.network.named_parameters())


def test_the_first_step_is_the_cpus(digits, on_gpu):
    """From weights whose scale is a power of two: else sums are rounded, and of equal pixels of a pooling window any
    wins in place of the first (``benchmarks.ties``). cuDNN may choose a transform that rounds too.
    """
    settings = TrainingSettings(epochs=1, batch_size=200, learning_rate=0.1, augmentation="none")

    def changes(images, execution):
        training = training_on(images, settings, execution)
        for module in training.network.modules():
            if isinstance(module, BinaryConvolution):
                module.weight.data = module.weight.data.sign() / 16
        before = {name: p.detach().cpu().clone() for name, p in training.network.named_parameters()}
        finish(training)
        after = {name: p.detach().cpu() - before[name] for name, p in training.network.named_parameters()}
        return after, losses(training)

    of_cpu, loss = changes(digits, CPU)
    with torch.backends.cudnn.flags(enabled=False):
        of_gpu, other = changes(on_gpu, CUDA)
    assert other == pytest.approx(loss, rel=1e-5)
    for name, change in of_cpu.items():
        assert (change - of_gpu[name]).norm() <= 1e-3 * change.norm(), name


def test_it_learns_and_scores_as_on_the_cpu(digits, on_gpu):
    settings = TrainingSettings(epochs=15, batch_size=20, learning_rate=0.1)
    spec = NetworkSpec("vgg_small", (2,) * 6, base_width=1 / 8, channels=1, size=8)
    training = finish(training_on(on_gpu, settings, Execution("cuda", "bfloat16", 1), spec))
    assert training.history[-1].top1 > 90
    on_cuda = score(training.network, on_gpu, CUDA)
    on_cpu = score(training.network.cpu(), digits, CPU)
    assert on_cuda.top1 > 90
    assert on_cuda.top1 == pytest.approx(on_cpu.top1, abs=1.0)


def test_moments_computed_anew_are_the_cpus(digits, on_gpu):
    network = finish(training_on(on_gpu)).network
    recalibrate(network, on_gpu, CUDA, 40)
    of_gpu = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items() if "running" in name}
    network.cpu()
    recalibrate(network, digits, CPU, 40)
    first = "norm1.running_mean"
    torch.testing.assert_close(network.state_dict()[first], of_gpu[first], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("stop", [1, WARM_UP + 2, 11])
def test_going_on_from_any_step_gives_the_same(on_gpu, stop):
    whole = finish(training_on(on_gpu))
    interrupted = training_on(on_gpu)
    for _, _ in zip(range(stop), interrupted.steps(), strict=False):
        pass
    resumed = training_on(on_gpu, seed=0)
    resumed.restore(interrupted.state())
    finish(resumed)
    assert losses(resumed) == pytest.approx(losses(whole), rel=0.02)
    assert len(resumed.history) == 3


def test_divergence_is_noticed(on_gpu):
    with pytest.raises(DivergedError):
        finish(training_on(on_gpu, TrainingSettings(epochs=3, batch_size=20, learning_rate=1e30)))


def test_many_trainings_leave_no_memory_behind(on_gpu):
    def used_after_one_more() -> int:
        finish(training_on(on_gpu))
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    used_after_one_more()  # what libraries keep for themselves is asked for once
    first = used_after_one_more()
    for _ in range(5):
        last = used_after_one_more()
    assert last <= first + 2**21


def test_trainings_side_by_side_are_those_alone():
    """Records that are replayed at once, with classifiers so wide that cuBLAS wants memory for partial sums."""
    count, execution = 640, Execution("cuda", "bfloat16", 1)
    spec = NetworkSpec("vgg_small", (1,) * 6, base_width=0.5)
    settings = TrainingSettings(epochs=12, batch_size=64, learning_rate=0.05)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (count,), generator=generator)
    images = ImagesInMemory(pixels, labels, Normalisation((0.5,) * 3, (0.25,) * 3), execution.device)

    def training(seed):
        return training_on(images, settings, execution, spec, seed)

    together = [training(seed) for seed in range(4)]
    for _ in in_turns([one.steps() for one in together], execution):
        pass
    alone = [finish(training(seed)) for seed in range(4)]
    for one, other in zip(together, alone, strict=True):
        assert losses(one) == pytest.approx(losses(other), rel=0.2)


def test_equal_seeds_give_equal_losses(on_gpu):
    first, second = finish(training_on(on_gpu)), finish(training_on(on_gpu))
    assert same(first, second) or losses(first) == pytest.approx(losses(second), rel=0.02)
    other = finish(training_on(on_gpu, seed=1))
    assert not same(first, other)
