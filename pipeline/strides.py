"""1×1 convolutions with a stride, as dense ones of the pixels that they read.

That is the same product with less to binarise. And it keeps clear of torch's own backward pass of the strided one,
which with channels last, fewer than 16 input channels and several threads writes beyond its memory (seen with torch
2.14 and its oneDNN, in float32 and bfloat16; the process dies).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def skips_pixels(convolution: nn.Conv2d) -> bool:
    """Whether a convolution reads only every so many pixels of its input."""
    return convolution.kernel_size == (1, 1) and convolution.padding == (0, 0) and convolution.stride != (1, 1)


def picked(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """The pixels of a feature map (N, C, H, W) that such a convolution reads, in the map's order in memory."""
    rows, columns = convolution.stride
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    return x[:, :, ::rows, ::columns].contiguous(memory_format=layout)


def spread(gradient: Tensor, shape: torch.Size, convolution: nn.Conv2d) -> Tensor:
    """The gradient of the map (of ``shape``) from that of the picked pixels, channels last; the others have none."""
    rows, columns = convolution.stride
    whole = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last).zero_()
    whole[:, :, ::rows, ::columns] = gradient
    return whole


class Convolution(nn.Conv2d):
    """A real-valued convolution without bias."""

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of (N, C, H, W), (N, O, H', W')."""
        if skips_pixels(self):
            return F.conv2d(picked(x, self), self.weight)
        return super().forward(x)
