"""How weights and activations become bits (Eq. 1), one file for each way.

A binariser is a module with

- ``NAME``;
- ``binarise_weight(weight, dtype)`` and ``binarise_activation(x, dtype)``: functions of real tensors whose values are
  what the layer computes with, of the type ``dtype``, and that pass a gradient on;
- ``COMPILED``: whether the compiled kernels compute this very binarisation. They are taken for no other, nor for one
  whose source has changed since they were written for it: those run in torch's operators.

To add one, put such a file into this folder, offer it from a package as an entry point of the group
``binary_nas.binarisers``, or name it as ``MODULE:NAME`` in ``network.binariser``.
"""

from pipeline.common.registry import Registry

BINARISERS = Registry(
    kind="binariser",
    package=__name__,
    group="binary_nas.binarisers",
    needs=("binarise_weight", "binarise_activation"),
    calls={"binarise_weight": "weight, dtype", "binarise_activation": "x, dtype"},
    founding={"dorefa": "17267a0f3d95d4ae"},
)

#: The paper's.
DEFAULT = "dorefa"


_compiled: dict[str, tuple[object, bool]] = {}


def is_compiled(name: str) -> bool:
    """Returns whether the compiled kernels compute a binariser as its source says."""
    entry = BINARISERS[name]
    known, answer = _compiled.get(name, (None, False))
    if known is not entry:  # to compare sources takes long, for a network of a candidate
        answer = bool(getattr(entry, "COMPILED", False)) and not BINARISERS.changed(name)
        _compiled[name] = entry, answer
    return answer
