"""Collecting the nodes and constants of an ONNX graph, and what every exported model has in common."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.common.errors import UserError

if TYPE_CHECKING:
    import onnx

OPSET = 18
#: The oldest version of the file format that has what is used here, for the sake of older runtimes.
_IR_VERSION = 9


def import_onnx() -> Any:
    """Returns the package onnx, which is optional.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(
            "the package onnx is needed for this format and is not installed", "pip install 'binary-nas[export]'"
        ) from None
    return onnx


class OnnxGraph:
    """Nodes in the order of execution, and constants. Names are short: they take room in the file."""

    def __init__(self) -> None:
        self._onnx = import_onnx()
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._shapes: dict[str, Sequence[int | str]] = {}

    def add(
        self, operator: str, *inputs: str, domain: str = "", shape: Sequence[int | str] | None = None, **attributes: Any
    ) -> str:
        """Appends a node with one output, whose ``shape`` is noted where it is given. Returns the output's
        name.
        """
        output = f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        if shape is not None:
            self._shapes[output] = shape
        return output

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Returns a constant tensor; equal ones are stored once. Returns its name."""
        array = np.asarray(values, dtype)
        return self.tensor(self._onnx.numpy_helper.from_array(array), (array.dtype.str, array.shape, array.tobytes()))

    def tensor(self, tensor: Any, key: tuple[str, tuple[int, ...], bytes]) -> str:
        """Returns a constant as ONNX stores it; ``key`` is its type, shape and content. Returns its name."""
        if key not in self._known:
            tensor.name = self._known[key] = f"c{len(self._constants)}"
            self._constants[tensor.name] = tensor
        return self._known[key]

    def model(
        self,
        image: tuple[str, Any, Sequence[int | str]],
        classes: int,
        metadata: Mapping[str, Any],
        *,
        functions: Sequence[Any] = (),
        domains: Mapping[str, int] | None = None,
        opset: int = OPSET,
    ) -> "onnx.ModelProto":
        """Returns the model, checked.

        Args:
            image: name, type and shape of the input; the first dimension is free.
            classes: how many; the last node's output becomes (N, classes) float32 'logits'.
            metadata: by name, JSON values or texts.
            functions: that belong to the model.
            domains: of operators beside ONNX's own, with their versions.
            opset: of ONNX's operators.
        """
        helper, onnx = self._onnx.helper, self._onnx
        input_name, kind, size = image
        self._shapes.pop(self._nodes[-1].output[0], None)
        self._nodes[-1].output[0] = "logits"
        graph = helper.make_graph(
            self._nodes,
            "binary-nas",
            [helper.make_tensor_value_info(input_name, kind, list(size))],
            [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [size[0], classes])],
            list(self._constants.values()),
            value_info=[
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
                for name, shape in self._shapes.items()
            ],
        )
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*pair) for pair in (domains or {}).items())]
        model = helper.make_model(
            graph, opset_imports=imports, functions=functions, ir_version=_IR_VERSION, producer_name="binary-nas"
        )
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        helper.set_model_props(model, texts)
        onnx.checker.check_model(model, full_check=True)
        return model  # type: ignore[no-any-return]
