"""The networks that can be searched, one module each, and the registry of them.

A network is a module with ``NAME``, ``TITLE``, ``BASE_WIDTHS`` (channels that the genome scales, gene by gene),
``GENES`` (what each gene scales), ``IMAGE_SIZE`` and ``CLASSES`` of the published experiment, ``CONVENTION`` (how its
published table counts, see :mod:`pipeline.networks.cost`) and ``layers(widths, *, channels, size, classes, binary)``.
To add one, put such a file into this folder, offer it from a package as an entry point of the group
``binary_nas.architectures``, or name it as ``MODULE:NAME`` in ``network.name``.
"""

from typing import Any

from pipeline.common.registry import Registry

ARCHITECTURES = Registry(
    kind="network",
    package=__name__,
    group="binary_nas.architectures",
    needs=("TITLE", "BASE_WIDTHS", "GENES", "IMAGE_SIZE", "CLASSES", "CONVENTION", "layers"),
    calls={"layers": "widths, *, channels, size, classes, binary"},
    founding={"vgg_small": "87dee8fff9bb1326", "resnet18": "151577667890d624"},
    also=("pipeline.networks.graph",),
)


def find_architecture(name: str) -> Any:
    """Returns the network's module.

    Raises:
        UserError: there is no network of that name.
    """
    return ARCHITECTURES[name]
