"""The training loop: the same bytes from the same seed, wherever it was interrupted; and what it measures."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from pipeline.networks.module import Network, initialise
from pipeline.networks.spec import NetworkSpec
from pipeline.training.distributed import World
from pipeline.training.execution import Execution
from pipeline.training.loop import DivergedError, Training
from pipeline.training.scoring import recalibrate, score
from pipeline.training.settings import TrainingSettings
from tests.support.execution import CPU
from tests.support.trainings import SETTINGS, SPEC, finish, same, start


def test_equal_seeds_give_equal_bytes(digits):
    assert same(finish(start(digits)), finish(start(digits)))
    assert not same(finish(start(digits)), finish(start(digits, seed=1)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("stop", [1, 5, 7, 14])
def test_going_on_from_any_step_gives_the_same_bytes(digits, stop, precision):
    execution = Execution("cpu", precision, 1)
    whole = finish(start(digits, execution=execution))
    interrupted = start(digits, execution=execution)
    for _, _ in zip(range(stop), interrupted.steps(), strict=False):
        pass
    assert interrupted.steps_done == stop
    resumed = start(digits, seed=0, execution=execution)
    with torch.no_grad():
        for parameter in resumed.network.parameters():
            parameter.zero_()  # everything must come from the state
    resumed.restore(interrupted.state())
    finish(resumed)
    assert same(whole, resumed)
    assert resumed.history == whole.history


def test_it_learns(digits):
    settings = TrainingSettings(epochs=15, batch_size=20, learning_rate=0.1)
    training = finish(
        start(digits, settings, spec=NetworkSpec("vgg_small", (2,) * 6, base_width=1 / 8, channels=1, size=8))
    )
    assert training.history[-1].top1 > 90
    assert training.history[-1].loss < training.history[0].loss / 3
    assert len(training.history) == 15
    assert score(training.network, digits, CPU).top1 > 90


def test_the_real_values_behind_binary_weights_move(digits):
    training = start(digits)
    before = {name: p.detach().clone() for name, p in training.network.named_parameters()}
    next(training.steps())
    assert all(not torch.equal(before[name], p) for name, p in training.network.named_parameters())


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_divergence_is_noticed_though_binarisation_hides_nan(digits, damage):
    training = start(digits)
    with torch.no_grad():
        training.network.get_submodule("norm3").weight[0] = damage
    with pytest.raises(DivergedError, match="epoch 1 of 3"):
        finish(training)


def test_an_absurd_learning_rate_diverges(digits):
    with pytest.raises(DivergedError):
        finish(start(digits, TrainingSettings(epochs=3, batch_size=20, learning_rate=1e30)))


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"schedule": "milestones", "milestones": (1, 3), "gamma": 0.1}, [1, 0.1, 0.1, 0.01]),
        ({"schedule": "constant"}, [1, 1, 1, 1]),
        ({"schedule": "cosine"}, [1, 0.5 * (1 + math.cos(math.pi / 4)), 0.5, 0.5 * (1 + math.cos(0.75 * math.pi))]),
    ],
)
def test_schedules(digits, settings, rates):
    settings = TrainingSettings(epochs=4, batch_size=100, learning_rate=1.0, **settings)
    assert [settings.rate_at(epoch) for epoch in range(4)] == pytest.approx(rates)


def test_the_step_is_sgd_with_momentum_and_weight_decay(digits):
    """Against torch.optim.SGD, which the loop does not use for the time that its import takes."""
    ours = start(digits, TrainingSettings(epochs=1, batch_size=50, learning_rate=0.1, weight_decay=1e-2))
    network = Network(SPEC)
    initialise(network, torch.Generator().manual_seed(0))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=1e-2)
    for step, batch in enumerate(digits.batches(ours._plan())):
        optimizer.param_groups[0]["lr"] = ours.settings.rate_at(step / 4)
        loss = torch.nn.functional.cross_entropy(network(batch[0]), batch[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    finish(ours)
    for a, b in zip(ours.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def float64(digits):
    """The digits as numbers with which a sum's order does not show."""

    class Images:
        labels = digits.labels

        def __len__(self):
            return len(digits)

        def batches(self, *where):
            return ((x.double(), y) for x, y in digits.batches(*where))

    return Images()


@pytest.mark.parametrize("micro_batch", [25, 20, 15, 7])
def test_without_batch_norms_micro_batches_change_nothing(digits, micro_batch):
    """50 images in 2 micro-batches, in 3, 4 and 8 of unequal sizes; a whole epoch of crops and steps."""

    def trained(**how):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(144, 10)
        )
        settings = TrainingSettings(epochs=1, batch_size=50, learning_rate=0.1, augmentation="crop")
        return finish(Training(network.double(), float64(digits), settings, 0, CPU, **how))

    whole, parts = trained().state(), trained(micro_batch=micro_batch).state()
    for name, tensor in whole.items():
        # The loss is computed in float32 in any case, the rest in float64.
        torch.testing.assert_close(parts[name], tensor, rtol=1e-6, atol=1e-8, msg=name)


def test_micro_batches_against_a_plain_loop(digits):
    """With batch norms: those of torch.optim.SGD, the loss of each part divided by their number."""
    settings = TrainingSettings(epochs=1, batch_size=50, learning_rate=0.1, weight_decay=1e-2)
    network = Network(SPEC)
    initialise(network, torch.Generator().manual_seed(0))
    network.to(memory_format=torch.channels_last)
    ours = Training(copy.deepcopy(network), digits, settings, 0, CPU, micro_batch=25)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=1e-2)
    losses = []
    for step, (x, y) in enumerate(digits.batches(ours._plan())):
        optimizer.param_groups[0]["lr"] = settings.rate_at(step / 4)
        optimizer.zero_grad()
        for half in (slice(0, 25), slice(25, 50)):
            loss = torch.nn.functional.cross_entropy(network(x[half]), y[half]) / 2
            loss.backward()
            losses.append(loss.item())
        optimizer.step()
    finish(ours)
    for (name, a), (_, b) in zip(ours.network.state_dict().items(), network.state_dict().items(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    assert int(ours.network.state_dict()["norm1.num_batches_tracked"]) == 8
    assert ours.history[0].loss == pytest.approx(sum(losses) / 4, rel=1e-5)


@pytest.mark.parametrize("micro_batch", [None, 40, 999])
def test_a_micro_batch_that_holds_the_batch_is_the_batch(digits, micro_batch):
    network = Network(SPEC)
    initialise(network, torch.Generator().manual_seed(0))
    training = Training(network, digits, SETTINGS, 0, CPU, micro_batch=micro_batch)
    assert same(finish(training), finish(start(digits)))


def test_several_processes_have_no_micro_batches(digits):
    with pytest.raises(ValueError, match="several processes"):
        Training(Network(SPEC), digits, SETTINGS, 0, CPU, World(0, 2), micro_batch=20)


def test_an_incomplete_last_batch_is_dropped_and_a_large_one_cut(digits):
    assert start(digits, TrainingSettings(epochs=2, batch_size=60, learning_rate=0.1)).steps_total == 6
    assert start(digits, TrainingSettings(epochs=2, batch_size=999, learning_rate=0.1)).steps_total == 2


def test_the_history_has_the_rate_at_which_each_epoch_began(digits):
    settings = replace(SETTINGS, epochs=3, schedule="cosine")
    history = finish(start(digits, settings)).history
    assert [(epoch.epoch, epoch.learning_rate) for epoch in history] == [
        (number + 1, settings.rate_at(number)) for number in range(3)
    ]


def test_every_epoch_sees_every_image_once_in_another_order(digits):
    training = start(digits)
    first = torch.cat(training._plan())
    training.epoch = 1
    second = torch.cat(training._plan())
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(200))
    assert first.tolist() != second.tolist()
    other = torch.cat(start(digits, seed=1)._plan())
    assert first.tolist() != other.tolist(), "another seed, another order"


def test_score_counts_by_hand(digits):
    network = finish(start(digits)).network
    result = score(network, digits, CPU, batch_size=64)
    (x, y), *_ = digits.batches([torch.arange(200)])
    logits = network.eval()(x)
    assert result.top1 == pytest.approx(100 * (logits.argmax(1) == y).double().mean().item())
    ranks = (logits > logits.gather(1, y[:, None])).sum(1)
    assert result.top5 == pytest.approx(100 * (ranks < 5).double().mean().item())
    assert result.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), rel=1e-5)
    assert result.images == 200
    assert result.answers.tolist() == logits.argmax(1).tolist(), "in the order of the images"
    assert result.right.tolist() == (logits.argmax(1) == y).tolist()


def test_a_score_for_which_memory_is_short_takes_smaller_batches(digits, monkeypatch):
    """Above 60 images at once the network finds no memory."""
    network = finish(start(digits)).network
    expected = score(network, digits, CPU)
    sizes = []

    def forward(x):
        sizes.append(len(x))
        if len(x) > 60:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return original(x)

    original = network.forward
    monkeypatch.setattr(network, "forward", forward)
    found = score(network, digits, CPU)
    assert sizes == [200, 100, *[50] * 4]
    assert (found.top1, found.top5, found.images) == (expected.top1, expected.top5, expected.images)
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
    assert found.answers.tolist() == expected.answers.tolist()
    monkeypatch.setattr(network, "forward", lambda x: forward(torch.cat([x] * 61)))
    with pytest.raises(torch.OutOfMemoryError):  # of a single image
        score(network, digits, CPU)
    assert sizes[-1] == 61


def test_recalibration_fits_moments_and_nothing_else(digits):
    training = finish(start(digits))
    network = training.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    recalibrate(network, digits, CPU, batch_size=200)
    after = network.state_dict()
    changed = {name.split(".")[1] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    (x, _), *_ = digits.batches([torch.arange(200)])
    feature_map = network.get_submodule("conv1")(x)
    torch.testing.assert_close(after["norm1.running_mean"], feature_map.mean((0, 2, 3)))
