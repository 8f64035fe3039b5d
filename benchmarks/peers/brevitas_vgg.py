"""VGG-small in brevitas, for `benchmarks.training`."""

from importlib.metadata import version

from brevitas.nn import QuantConv2d, QuantIdentity
from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from torch import nn
from torch_peer import serve

if __name__ == "__main__":
    serve(
        f"brevitas {version('brevitas')}",
        lambda inputs, outputs: nn.Sequential(
            QuantIdentity(act_quant=SignedBinaryActPerTensorConst, min_val=-1.0, max_val=1.0),
            QuantConv2d(
                inputs,
                outputs,
                3,
                padding=1,
                bias=False,
                weight_quant=SignedBinaryWeightPerTensorConst,
                scaling_init=0.1,
            ),
        ),
    )
