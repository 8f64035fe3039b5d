"""A network trained on digits, packed: on every image its bits, logits and answers are the trained network's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pipeline.data.batches import ImagesInMemory, Normalisation
from pipeline.export import reference
from pipeline.export.packed import Kind, read
from pipeline.export.packing import About, pack
from pipeline.kernels.build import CompilationError
from pipeline.kernels.inference import Runtime
from pipeline.networks.spec import NetworkSpec
from pipeline.training.scoring import score
from tests.support.execution import CPU
from tests.support.packed_networks import plain
from tests.support.trainings import SETTINGS, finish, start

MOMENTS = (0.3,), (0.35,)


@pytest.mark.parametrize(
    ("spec", "enlarged"),
    [
        (NetworkSpec("vgg_small", (1, 2, 1, 0.5, 1, 2), base_width=1 / 16, channels=1, size=8), 1),
        (NetworkSpec("resnet18", (1, 1, 2, 1, 0.5, 1, 1, 2, 1, 1, 1, 1), base_width=1 / 16, channels=1, size=24), 3),
    ],
    ids=["vgg_small", "resnet18"],
)
def test_it_answers_as_the_trained_network_on_every_image(spec: NetworkSpec, enlarged: int) -> None:
    data = load_digits()
    pixels = (data.images * 15.9).astype(np.uint8).repeat(enlarged, 1).repeat(enlarged, 2)[..., None]
    images = ImagesInMemory(
        torch.from_numpy(pixels), torch.from_numpy(data.target), Normalisation(*MOMENTS), torch.device("cpu")
    )
    epochs = 3 if enlarged == 1 else 1
    network = finish(start(images, replace(SETTINGS, epochs=epochs), spec=spec)).network.eval()
    packed = pack(network, About(tuple("0123456789"), *MOMENTS))
    try:
        runtime = Runtime(packed)
    except CompilationError as error:
        pytest.skip(str(error))
    found = read(packed)
    normalised = reference.normalised(found, pixels)
    logits, bits = plain(network, torch.from_numpy(normalised))
    for node in found.nodes:
        if node.kind == Kind.BINARY_CONVOLUTION:
            values = found.values[node.sources[0]]
            shape = (values.channels, values.side, values.side)
            ours = np.stack([runtime.bits(image, node.sources[0], shape) for image in normalised])
            assert np.array_equal(ours, bits[node.name].numpy() == 1), node.name
    answers = runtime(pixels)
    assert np.all(np.abs(answers - logits.numpy()).max(1) <= 1e-4 * logits.abs().amax(1).numpy())
    top1 = 100 * float(np.mean(answers.argmax(1) == data.target))
    assert top1 == pytest.approx(score(network, images, CPU).top1, abs=1e-9)
    assert top1 > 15, "it has learned something"
