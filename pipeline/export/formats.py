"""The files that a trained network can become, by name.

To add one, write a function of :class:`Exported` that gives the file's bytes, and name it in ``FORMATS``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.common.errors import UserError
from pipeline.export import packed
from pipeline.export.packed import PackedNetwork, Storage
from pipeline.export.trained import TrainedNetwork, is_hdf5, read_trained


@dataclass(frozen=True)
class Exported:
    """A network to write.

    Attributes:
        packed: its packed form.
        trained: as it was trained; None if it came from a packed file.
    """

    packed: PackedNetwork
    trained: TrainedNetwork | None = None


def read_exported(file: Path, storage: Storage = Storage.FLOAT32, images: Path | None = None) -> Exported:
    """Reads a network from a file of weights or a packed file.

    Args:
        file: which.
        storage: how the real layers' weights are stored; a packed file keeps its own way.
        images: see :func:`pipeline.export.trained.read_trained`.

    Raises:
        UserError: the file cannot be used.
    """
    if not is_hdf5(file):
        if storage != Storage.FLOAT32:
            raise UserError(f"{file} is packed already", "export the file of weights for other real weights")
        return Exported(packed.read(file.read_bytes(), str(file)))
    from pipeline.export.packing import packed_network

    trained = read_trained(file, images)
    return Exported(packed_network(trained.network, trained.about, storage), trained)


def _packed(network: Exported) -> bytes:
    return network.packed.to_bytes()


def _onnx(network: Exported) -> bytes:
    from pipeline.export.onnx_model import onnx_model

    return bytes(onnx_model(network.packed, "packed").SerializeToString())


def _onnx_float(network: Exported) -> bytes:
    from pipeline.export.onnx_model import onnx_model

    return bytes(onnx_model(network.packed, "float").SerializeToString())


def _int8_onnx(network: Exported) -> bytes:
    from pipeline.export.onnx_model import onnx_model

    return bytes(onnx_model(network.packed, "int8").SerializeToString())


def _qonnx(network: Exported) -> bytes:
    if network.trained is None:
        raise UserError("a packed network has no batch norms left, which QONNX needs", "export the file of weights")
    from pipeline.export.qonnx_model import qonnx_model

    return bytes(qonnx_model(network.trained.network, network.trained.about).SerializeToString())


FORMATS: dict[str, Callable[[Exported], bytes]] = {
    "packed": _packed,
    "onnx": _onnx,
    "onnx-float": _onnx_float,
    "int8-onnx": _int8_onnx,
    "qonnx": _qonnx,
}
