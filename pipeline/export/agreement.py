"""Agreement of a packed network with the trained one: the runtime's answers, to set beside the evaluation's."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.export.engines import packed_engine
from pipeline.export.packed import read

if TYPE_CHECKING:
    from pipeline.data.batches import ImageSource

#: Images that are computed at once.
_BATCH = 500


def answers_of(packed: bytes, images: "ImageSource", threads: int = 1) -> np.ndarray:
    """Returns the class that a packed network takes each image for, int64 (N,).

    Args:
        packed: the network's file.
        images: in their order, normalised as the network was trained.
        threads: of the runtime; plain numpy computes where it cannot be had.

    Raises:
        UserError: the file is no packed network.
    """
    import torch

    engine = packed_engine(read(packed), "auto", threads)
    plan = torch.split(torch.arange(len(images)), _BATCH)
    return np.concatenate([engine.logits(x.numpy()).argmax(1) for x, _ in images.batches(plan)])
