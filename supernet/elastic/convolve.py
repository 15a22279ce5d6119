"""Convolutions by the fastest of what torch and this project have, in training and after it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeGuard

import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.depthwise import depthwise_conv

__all__ = ["convolve", "fast_convolutions"]


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: int,
    groups: int,
    *,
    training: bool,
) -> Tensor:
    """`F.conv2d`, around the slow and the wrong kernels of CPUs.

    Args:
        x: shape ``(N, in, H, W)``.
        weight: shape ``(out, in / groups, K, K')``.
        bias: shape ``(out,)``, or none.
        strides: of rows and of columns.
        padding: of rows and of columns.
        dilation: steps between the values of a window.
        groups: of channels.
        training: whether gradients count; where not, the result is `F.conv2d`'s to the last bit.
    """
    if _is_depthwise(x, weight, strides, padding, dilation, groups) and (bias is None or training):
        out = depthwise_conv(x, weight, strides[0], padding[0])
        return out if bias is None else out + bias.to(out.dtype)[:, None, None]
    if training and groups == 1 and weight.shape[2:] == (1, 1) and not any(padding):
        if x.shape[2:] == (1, 1):
            # oneDNN convolves single pixels at half the speed of the product. Evaluation
            # stays to the last bit what the extracted network computes.
            return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]
        if tuple(strides) != (1, 1):
            # oneDNN's gradients of few channels write past their memory (torch 2.14: 4 to 2
            # channels of 14x14 pixels, channels last), so it is given the pixels that are read
            x, strides = x[:, :, :: strides[0], :: strides[1]], (1, 1)
    return F.conv2d(x, weight, bias, strides, padding, dilation, groups)


@contextmanager
def fast_convolutions(network: nn.Module) -> Iterator[None]:
    """Within it, a plain network's convolutions are those of `convolve`.

    Of `torch.nn.Conv2d` itself, padded by zeros; classes that are made from it stay as they are.
    """
    changed = [module for module in network.modules() if _is_plain(module)]
    for module in changed:
        module.forward = partial(_convolved, module)  # type: ignore[method-assign]  # undone below
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        type(module) is nn.Conv2d
        and "forward" not in vars(module)  # somebody else's
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.dilation[0] == module.dilation[1]
    )


def _convolved(module: nn.Conv2d, x: Tensor) -> Tensor:
    assert not isinstance(module.padding, str)
    return convolve(
        x,
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.dilation[0],
        module.groups,
        training=module.training,
    )


def _is_depthwise(
    x: Tensor,
    weight: Tensor,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: int,
    groups: int,
) -> bool:
    """Whether it is one of `depthwise_conv`'s."""
    rows, columns = weight.shape[2:]
    return (
        groups == len(weight) == x.shape[1]
        and dilation == 1
        and rows == columns > 2 * padding[0]
        and padding[0] == padding[1]
        and strides[0] == strides[1]
    )
