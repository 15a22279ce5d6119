"""Numbers as 8-bit integers have them, in training (Krishnamoorthi, arXiv:1806.08342, section 3.2).

What is rounded passes its gradient on as if it were not, and nothing where it was cut off. A
batch norm that follows is folded into the weights later, which changes the scale of a channel and
so none of its integers.
"""

import torch
from torch import Tensor

__all__ = ["rounded_input", "rounded_weight"]

_MOST_WEIGHT = 63
"""Weights of 7 bits: processors without VNNI need them, and 8 bits hold them, too."""
_LEAST_SCALE = 1e-9


def rounded_weight(weight: Tensor) -> Tensor:
    """A weight with as many values as signed integers of 7 bits, and a scale an output channel.

    Args:
        weight: output channels first.
    """
    largest = weight.detach().abs().flatten(1).amax(1)
    scale = (largest / _MOST_WEIGHT).clamp(min=_LEAST_SCALE).float()
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weight, scale, zeros, 0, -_MOST_WEIGHT, _MOST_WEIGHT
    )


def rounded_input(x: Tensor) -> Tensor:
    """What a layer reads, with as many values as unsigned integers of 8 bits have.

    The range is that of the batch, and holds 0.
    """
    low, high = torch.aminmax(x.detach().float())
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / 255).clamp(min=_LEAST_SCALE)
    zero = (-low / scale).round().to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, 255).to(x.dtype)
