"""Weights from files: of trained networks, and of the supernet, from which a candidate inherits (section 3).

It inherits the first channels of every tensor: in both channel dimensions of a weight, of batch norms' parameters and
running moments. The classifier's columns follow its input channels, which lie one after another, so its first columns
belong to the first channels.
"""

from pathlib import Path

import torch

from pipeline.common.errors import UserError, made_again
from pipeline.common.hdf5 import first_parts, read_attributes, read_tensors, verify_tensors
from pipeline.networks.binary.binarisers import DEFAULT as BINARISER
from pipeline.networks.module import Network
from pipeline.networks.spec import NetworkSpec

#: Bytes of a file up to which its tensors are kept in memory for those who inherit from them next.
SMALL = 64 * 2**20


class Ancestor:
    """A trained network in a file, such as the supernet, from which one network after another inherits.

    Raises:
        UserError: the file is missing or damaged.
    """

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        small = weights.exists() and weights.stat().st_size <= SMALL
        self._tensors = read_tensors(weights) if small else None

    def give(self, network: Network) -> None:
        """Sets every parameter and running moment of ``network`` to the first corresponding part.

        Raises:
            UserError: the file is missing, damaged, or of a network with other layers, widths, images or classes.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        if self._tensors is None:
            parts = read_tensors(self._weights, shapes)
        else:
            parts = first_parts(self._tensors, shapes, self._weights)
        network.load_state_dict({name: torch.from_numpy(part) for name, part in parts.items()})


def inherit(network: Network, supernet: Path) -> None:
    """Sets every parameter and running moment of ``network`` to the supernet's first corresponding part.

    Raises:
        UserError: as of :class:`Ancestor`.
    """
    Ancestor(supernet).give(network)


def load_network(weights: Path | str) -> Network:
    """Returns the trained network that a file of weights holds, in evaluation mode: in training mode, as a new module
    is, its answers would depend on which images it is asked about together.

    Raises:
        UserError: the file is missing, damaged, or not written by a training of this project.
    """
    weights = Path(weights)
    try:
        spec = NetworkSpec.from_record(read_attributes(weights)["network"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{weights} does not say which network it holds", made_again("it is trained again")) from None
    verify_tensors(weights)
    network = Network(spec).eval()
    inherit(network, weights)
    return network


def check_supernet(supernet: Path, spec: NetworkSpec) -> None:
    """Raises UserError if ``supernet`` is of another experiment than the candidates of ``spec``, or is damaged.

    Once in a job, since it reads all of it. Each candidate then reads its part.
    """
    theirs = {"binariser": BINARISER, **read_attributes(supernet).get("network", {})}
    for key in ("network", "base_width", "channels", "size", "classes", "binariser"):
        ours = getattr(spec, key)
        if theirs.get(key) != ours:
            raise UserError(
                f"the supernet {supernet} has {key.replace('_', ' ')} {theirs.get(key)}, these candidates have {ours}",
                f"it belongs to another experiment: name the right one, or {made_again('it is trained again')}",
            )
    verify_tensors(supernet)
