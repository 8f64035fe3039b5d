"""Prepared images as a training takes them: in memory, or decoded as they are needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import open_hdf5

if TYPE_CHECKING:
    import torch

    from pipeline.data.batches import ImageSource
from pipeline.data.prepared import FORMAT, labels_of, read_info

#: Images that are read at once where only some are wanted.
_BLOCK = 4096


def load_images(
    path: Path, device: "torch.device | str", indices: Sequence[int] | None = None, workers: int = 0
) -> "ImageSource":
    """Returns the images as a training takes them: in memory on the device, or decoded as they are needed.

    Args:
        path: the prepared images.
        device: where batches are made.
        indices: the images to use, in this order; None for all.
        workers: processes that decode, for storage 'jpeg'; 0 decodes in this one.

    Raises:
        UserError: the file is missing, damaged or of another kind, or has no image of such an index.
    """
    import torch

    from pipeline.data.batches import ImagesInMemory, Normalisation
    from pipeline.data.photographs import JpegImages

    info = read_info(path)
    chosen = None if indices is None else np.asarray(indices, dtype=np.int64)
    missing = () if chosen is None else tuple(chosen[(chosen < 0) | (chosen >= info.count)])
    if missing:
        raise UserError(f"{path} has {info.count} images, but image {missing[0]} is asked for", "draw the subset anew")
    normalisation = Normalisation(info.mean, info.std)
    if info.storage == "jpeg":
        return JpegImages(path, normalisation, torch.device(device), chosen, workers)
    with open_hdf5(path, FORMAT) as file:
        labels = labels_of(file, len(info.classes))
        pixels = _read_rows(file["pixels"], chosen)
    if chosen is not None:
        labels = labels[chosen]
    return ImagesInMemory(torch.from_numpy(pixels), torch.from_numpy(labels), normalisation, torch.device(device))


def _read_rows(dataset: h5py.Dataset, indices: np.ndarray | None) -> np.ndarray:
    """Returns the rows at ``indices``, in that order, without holding much more than these in memory."""
    if indices is None:
        return np.asarray(dataset[()])
    rows = np.empty((len(indices), *dataset.shape[1:]), dataset.dtype)
    for start in range(0, len(dataset), _BLOCK):
        # HDF5 itself reads scattered rows one by one, which is slower than reading all.
        wanted = np.flatnonzero((indices >= start) & (indices < start + _BLOCK))
        if len(wanted):
            rows[wanted] = dataset[start : start + _BLOCK][indices[wanted] - start]
    return rows
