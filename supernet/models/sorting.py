"""Channel sorting: the most important channels first, the function unchanged.

Smaller widths keep the leading channels, so before widths become elastic the
channels are ordered by importance (Once-for-All, section 3.3): the L1 norm of the
weights that read a channel.
"""

import torch
from torch import Tensor

from supernet.elastic import ElasticConv, ElasticConvNorm, ElasticMBConv
from supernet.models.supernet import Supernet

__all__ = ["sort_channels"]


@torch.no_grad()
def sort_channels(supernet: Supernet) -> None:
    """Order the middle channels of every block, and the hidden ones of its gates.

    The function computed by the largest subnet does not change.
    """
    for block in supernet.slots.values():
        if isinstance(block, ElasticMBConv) and block.expand is not None:
            _sort_block(block)


def _sort_block(block: ElasticMBConv) -> None:
    assert block.expand is not None
    order = _importance(block.project.conv).argsort(descending=True)
    _permute_output(block.expand, order)
    _permute_output(block.depthwise, order)
    block.project.conv.weight.copy_(block.project.conv.weight[:, order])
    if block.se is not None:
        reduce, expand = block.se.reduce, block.se.expand
        reduce.weight.copy_(reduce.weight[:, order])
        _permute_conv(expand, order)
        hidden = _importance(expand).argsort(descending=True)
        _permute_conv(reduce, hidden)
        expand.weight.copy_(expand.weight[:, hidden])


def _importance(reader: torch.nn.Module) -> Tensor:
    """L1 norm over the weights that read each input channel, shape ``(in,)``."""
    weight = reader.weight
    assert isinstance(weight, Tensor)
    return weight.abs().sum((0, 2, 3))


def _permute_conv(conv: ElasticConv, order: Tensor) -> None:
    conv.weight.copy_(conv.weight[order])
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[order])


def _permute_output(layer: ElasticConvNorm, order: Tensor) -> None:
    layer.conv.weight.copy_(layer.conv.weight[order])
    norm = layer.norm
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        values.copy_(values[order])
