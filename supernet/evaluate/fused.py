"""Convolutions that apply their activation while they write, on CPUs."""

from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["FusedConv", "conv_act"]

_NAMES: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
    nn.SiLU: ("swish", []),
}


class FusedConv(nn.Module):
    """A convolution and its activation as one module.

    Args:
        conv: the convolution; its parameters are shared, not copied.
        act: what follows it.
    """

    def __init__(self, conv: nn.Conv2d, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.act = conv, act

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H', W')``."""
        return conv_act(x, self.conv, self.act, self.conv.weight, self.conv.bias)


def conv_act(
    x: Tensor, conv: nn.Conv2d, act: nn.Module, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """`act` of the convolution of `x`; one pass over the output where oneDNN knows `act`.

    An activation by itself reads and writes all of it once more: a tenth of the time of a
    ``mobilenet_v3``.

    Args:
        x: shape ``(N, in, H, W)``.
        conv: says stride, padding and groups.
        act: of `supernet.elastic.activation`; others are called as they are.
        weight: of the convolution, in place of its own.
        bias: likewise.
    """
    sizes = conv.stride, conv.dilation, conv.groups
    plain = x.device.type == "cpu" and x.dtype == torch.float32
    if plain and type(act) in _NAMES and _has_onednn():
        name, numbers = _NAMES[type(act)]
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(  # what torch.compile calls
            x, weight, bias, conv.padding, *sizes, name, numbers, ""
        )
        return fused
    out: Tensor = act(nn.functional.conv2d(x, weight, bias, sizes[0], conv.padding, *sizes[1:]))
    return out


@cache
def _has_onednn() -> bool:
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # untyped in torch
    return there and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
