"""VGG-small in bitorch, for `benchmarks.training`."""

from importlib.metadata import version

from bitorch.layers import QConv2d
from torch_peer import serve

if __name__ == "__main__":
    serve(
        f"bitorch {version('bitorch')}",
        lambda inputs, outputs: QConv2d(
            inputs,
            outputs,
            kernel_size=3,
            padding=1,
            bias=False,
            pad_value=0,
            input_quantization="sign",
            weight_quantization="sign",
        ),
    )
