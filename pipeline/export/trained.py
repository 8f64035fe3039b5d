"""A trained network as its file holds it: the weights, and everything that they need to answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.common.errors import UserError
from pipeline.common.hdf5 import read_attributes
from pipeline.common.log import log
from pipeline.data.prepared import read_info
from pipeline.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from pipeline.export.packing import About
    from pipeline.networks.module import Network

_HDF5 = b"\x89HDF\r\n\x1a\n"
#: Of a file's attributes, those that say what made it.
_PROVENANCE = ("dataset", "images", "settings", "seed", "precision", "method", "versions")


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that can answer.

    Attributes:
        network: in evaluation mode, on the CPU.
        classes: their names, in the order of the logits.
        preprocessing: how an image becomes its input.
        provenance: JSON values: what made it.
    """

    network: "Network"
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> "About":
        """Returns what :func:`pipeline.export.packing.pack` wants to know beside the network."""
        from pipeline.export.packing import About

        how = self.preprocessing
        return About(self.classes, how.mean, how.std, how.record, self.provenance)


def is_hdf5(file: Path) -> bool:
    """Returns whether a file is one of weights, from its first bytes.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open(file, "rb") as opened:
            return opened.read(len(_HDF5)) == _HDF5
    except OSError as error:
        raise UserError(f"{file} cannot be read", error.strerror or str(error)) from None


def read_trained(weights: Path, images: Path | None = None) -> TrainedNetwork:
    """Reads a file of weights.

    Args:
        weights: written by a training, the supernet's included.
        images: the prepared train images, for weights of an older version, which do not hold classes and
            preprocessing; by default ``data/train.h5`` in the nearest folder above.

    Raises:
        UserError: the file is missing, damaged, not written by a training of this project, or of an older version and
            without the images that it was trained on.
    """
    from pipeline.networks.weights import load_network

    attributes = read_attributes(weights)
    network = load_network(weights).eval()
    if "classes" in attributes and "preprocessing" in attributes:
        classes = tuple(attributes["classes"])
        try:
            preprocessing = Preprocessing.from_record(attributes["preprocessing"])
        except UserError as error:
            raise UserError(f"{weights} cannot be used: {error}") from None
    else:
        classes, preprocessing = _from_images(weights, attributes.get("images"), images)
    spec = network.spec
    if (len(classes), preprocessing.channels, preprocessing.size) != (spec.classes, spec.channels, spec.size):
        raise UserError(
            f"{weights} contradicts itself: its network is for other images than its classes", "train again"
        )
    provenance = {key: attributes[key] for key in _PROVENANCE if key in attributes}
    return TrainedNetwork(network, classes, preprocessing, provenance)


def _from_images(weights: Path, digest: str | None, images: Path | None) -> tuple[tuple[str, ...], Preprocessing]:
    missing = f"{weights} is of an older version: it does not hold its classes and preprocessing"
    if images is None:
        raise UserError(
            missing,
            "name the prepared images that it was trained on (predict and export take --train-images), or delete it to "
            "have it trained again",
        )
    info = read_info(images)
    if digest != info.digest:
        raise UserError(f"{missing}, and it was not trained on {images}", "name the images that it was trained on")
    log(f"note: {missing}; they are taken from {images}")
    return info.classes, Preprocessing.of(info)
