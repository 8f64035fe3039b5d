"""The accuracy of a packed network on prepared images."""

from pathlib import Path

import numpy as np
import torch

from pipeline.common.errors import UserError
from pipeline.common.log import progress
from pipeline.data.loading import load_images
from pipeline.data.prepared import read_info
from pipeline.data.preprocessing import Preprocessing
from pipeline.export.engines import packed_engine
from pipeline.export.packed import PackedNetwork

_BATCH = 500


def top1(network: PackedNetwork, images: Path, threads: int = 1) -> float:
    """Returns top-1 accuracy in percent.

    Args:
        network: the packed network.
        images: prepared test images of the data set that it was trained on.
        threads: of the computation.

    Raises:
        UserError: the images are of another kind, prepared with others than the network was trained on, or cannot be
            read.
    """
    info = read_info(images, "test")
    # Of another division into train and test, some of them would be among those that it has learnt from.
    alike = info.classes == network.classes and network.information.get("preparation") == Preprocessing.of(info).record
    if (info.channels, info.size) != (network.channels, network.size) or not alike:
        raise UserError(f"{images} holds other images than this network was trained on", "name its own test images")
    source = load_images(images, "cpu")
    compute = packed_engine(network, threads=threads).logits
    hits = 0
    with progress("scoring", len(source), "images") as bar:
        for x, y in source.batches(torch.split(torch.arange(len(source)), _BATCH)):
            hits += int((compute(np.ascontiguousarray(x.numpy())).argmax(1) == y.numpy()).sum())
            bar.advance(len(y))
    return 100 * hits / len(source)
