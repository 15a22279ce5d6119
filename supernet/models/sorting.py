"""Channel sorting: the most important channels first, the function unchanged.

Smaller widths keep the leading channels, so before widths become elastic the
channels are ordered by importance (Once-for-All, section 3.3): the L1 norm of the
weights that read a channel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from supernet.elastic import ElasticConv, ElasticConvNorm, ElasticLinear, ElasticMBConv
from supernet.models.supernet import Supernet

__all__ = ["sort_channels"]


@torch.no_grad()
def sort_channels(supernet: Supernet) -> None:
    """Order the channels between stages, inside blocks, and inside their gates.

    The function computed by the largest subnet does not change. Channels that a
    shortcut carries from one stage into the next keep their order.
    """
    for stream in _streams(supernet):
        importance = torch.stack([_importance(reader) for reader in stream.readers]).sum(0)
        order = importance.argsort(descending=True)
        for writer in stream.writers:
            _permute_output(writer, order)
        for reader in stream.readers:
            _permute_input(reader, order)
    for block in supernet.slots.values():
        if isinstance(block, ElasticMBConv):
            if block.expand is not None:
                order = _importance(block.project).argsort(descending=True)
                _permute_output(block.expand, order)
                _permute_middle(block, order)
            _sort_gate(block)


@dataclass(frozen=True, slots=True)
class _Stream:
    """Channels of one width: who writes them, and who reads them."""

    writers: Sequence[ElasticConvNorm]
    readers: Sequence[nn.Module]


def _streams(supernet: Supernet) -> Iterator[_Stream]:
    """The outputs of the stem and of each stage that no shortcut ties to another."""
    space = supernet.space
    stages = [_blocks(supernet, s) for s in range(len(space.stages))]
    stem = supernet.slots["stem"]
    assert isinstance(stem, ElasticConvNorm)
    tied = [stage.shortcut and stage.stride == 1 for stage in space.stages]
    if not tied[0]:
        yield _Stream([stem], [stages[0][0]])
    for s, blocks in enumerate(stages):
        last = s == len(stages) - 1
        if tied[s] or (not last and tied[s + 1]):
            continue
        after = _head(supernet) if last else stages[s + 1][0]
        yield _Stream([block.project for block in blocks], [*blocks[1:], after])


def _blocks(supernet: Supernet, stage: int) -> list[ElasticMBConv]:
    prefix = f"stage{stage + 1}_"
    found = [module for name, module in supernet.slots.items() if name.startswith(prefix)]
    return [block for block in found if isinstance(block, ElasticMBConv)]


def _head(supernet: Supernet) -> nn.Module:
    names = ("head_conv", "head_features", "head_classifier")
    return next(supernet.slots[name] for name in names if name in supernet.slots)


def _importance(reader: nn.Module) -> Tensor:
    """L1 norm over the weights that read each input channel, shape ``(in,)``."""
    if isinstance(reader, ElasticMBConv):
        # without an expansion, a channel is read by the projection behind its own filter
        return _importance(reader.expand or reader.project)
    if isinstance(reader, ElasticConvNorm):
        return _importance(reader.conv)
    assert isinstance(reader, ElasticConv | ElasticLinear)
    return reader.weight.abs().transpose(0, 1).flatten(1).sum(1)


def _permute_input(reader: nn.Module, order: Tensor) -> None:
    if isinstance(reader, ElasticMBConv) and reader.expand is None:
        _permute_middle(reader, order)
    elif isinstance(reader, ElasticMBConv):
        _permute_input(reader.expand, order)  # type: ignore[arg-type]  # checked above
    elif isinstance(reader, ElasticConvNorm):
        _permute_input(reader.conv, order)
    else:
        assert isinstance(reader, ElasticConv | ElasticLinear)
        reader.weight.copy_(reader.weight[:, order])


def _permute_middle(block: ElasticMBConv, order: Tensor) -> None:
    """Everything in a block that its middle channels pass through."""
    _permute_output(block.depthwise, order)
    _permute_input(block.project, order)
    if block.se is not None:
        _permute_input(block.se.reduce, order)
        _permute_conv(block.se.expand, order)


def _sort_gate(block: ElasticMBConv) -> None:
    if block.se is not None:
        hidden = _importance(block.se.expand).argsort(descending=True)
        _permute_conv(block.se.reduce, hidden)
        _permute_input(block.se.expand, hidden)


def _permute_conv(conv: ElasticConv, order: Tensor) -> None:
    conv.weight.copy_(conv.weight[order])
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[order])


def _permute_output(layer: ElasticConvNorm, order: Tensor) -> None:
    layer.conv.weight.copy_(layer.conv.weight[order])
    norm = layer.norm
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        values.copy_(values[order])
