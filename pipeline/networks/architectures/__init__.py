"""The networks that can be searched, one module each, and the registry of them.

A network is a module with ``NAME``, ``TITLE``, ``BASE_WIDTHS`` (channels that the genome scales, gene by gene),
``GENES`` (what each gene scales), ``IMAGE_SIZE`` and ``CLASSES`` of the published experiment, ``CONVENTION`` (how its
published table counts, see :mod:`pipeline.networks.cost`) and ``layers(widths, *, channels, size, classes, binary)``.
To add one, write such a module and name it in ``ARCHITECTURES``.
"""

from types import ModuleType

from pipeline.common.errors import UserError
from pipeline.networks.architectures import resnet18, vgg_small

ARCHITECTURES: dict[str, ModuleType] = {module.NAME: module for module in (vgg_small, resnet18)}


def find_architecture(name: str) -> ModuleType:
    """Returns the network's module.

    Raises:
        UserError: there is no network of that name.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"unknown network '{name}'", f"choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
