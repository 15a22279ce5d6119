"""Channel sorting: the most important channels first, the function unchanged.

Smaller widths keep the leading channels, so before widths become elastic the
channels are ordered by `Importance` (Once-for-All, section 3.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from supernet.elastic import ElasticBlock, ElasticChain, Importance, importance, ranked
from supernet.errors import ConfigError
from supernet.models.supernet import Supernet
from supernet.space import Operator

__all__ = ["sort_channels"]


@torch.no_grad()
def sort_channels(
    supernet: Supernet,
    *,
    by: Importance = "weights",
    trained_expand: int = 1,
    trained_width: int = 1,
) -> None:
    """Order the channels between stages, inside blocks, and inside their gates.

    The function computed by the largest subnet does not change. Channels that a
    shortcut carries from one stage into the next keep their order.

    What subnets compute that were trained already must not change either: channels move
    only within the bands that their widths cut (Once-for-All's second expand phase).

    Args:
        supernet: changed in place.
        by: what is important.
        trained_expand: how many of the largest expand ratios subnets were trained with, 1
            for the largest alone, 0 for all.
        trained_width: the same of the widths of stages, stem and head.

    Raises:
        ConfigError: weights are parametrised, so that they cannot be moved.
    """
    _check_plain(supernet)
    if supernet.space.cells is not None:  # whose widths are fixed
        return
    for stream in _streams(supernet):
        if not stream.tied:
            widths = sorted(stream.widths, reverse=True)
            order = ranked(importance(stream, stream, by), widths[: trained_width or None])
            for writer in stream.writers:
                writer.permute_output(order)
            for reader in stream.readers:
                reader.permute_input(order)
    if trained_expand:
        for block in _blocks(supernet.slots):
            block.sort_inner(by, trained_expand)


def _check_plain(supernet: Supernet) -> None:
    """Refuse weights that are computed from others: what is written to them is lost."""
    for name, module in supernet.named_modules():
        if isinstance(module, ParametrizationList):
            path = name.replace(".parametrizations.", ".")
            raise ConfigError(
                f"{path} is parametrised, so its channels cannot be sorted",
                hint="torch.nn.utils.parametrize.remove_parametrizations before sorting",
            )


@dataclass(slots=True)
class _Stream:
    """Channels that are handed on together: who writes them, and who reads them."""

    writers: list[ElasticBlock] = field(default_factory=list)
    readers: list[ElasticBlock] = field(default_factory=list)
    widths: set[int] = field(default_factory=set)
    tied: bool = False
    """Whether a shortcut carries the channels to or from another stream."""

    def reads(self, power: int = 1) -> torch.Tensor:
        """As `supernet.elastic.ElasticConv.reads`, of all readers together."""
        return torch.stack([reader.reads(power) for reader in self.readers]).sum(0)

    def varies(self) -> torch.Tensor:
        """Variance of what all writers add up."""
        return torch.stack([writer.varies() for writer in self.writers]).sum(0)


def _blocks(module: nn.Module) -> Iterator[ElasticBlock]:
    return (part for part in module.modules() if isinstance(part, ElasticBlock))


def _streams(supernet: Supernet) -> list[_Stream]:
    """The channels between the slots, in network order; logits are none."""
    streams: list[_Stream] = []
    stream = _Stream(tied=True)  # the image
    for place in supernet.places:
        blocks = list(_blocks(place.module))
        if not blocks:  # pooling hands the channels on
            continue
        block, part = place.slot.place.block, place.slot.place.part
        inside = block > 1 or (block == 1 and part == "stem")
        stream.readers += blocks
        if not inside:
            before, stream = stream, _Stream()
            streams.append(stream)
            # where a stage may be left out, its channels take the place of those before it
            tied = place.optional or any(map(_carries, place.operators))
            before.tied, stream.tied = before.tied or tied, tied
        stream.tied |= not all(map(_orders, blocks))
        stream.writers += blocks
        stream.widths |= {operator.out_channels for operator in place.operators}
    return streams[:-1]


def _orders(block: ElasticBlock) -> bool:
    """Whether a block can write its channels in any order."""
    return not isinstance(block, ElasticChain) or block.orders_output


def _carries(operator: Operator) -> bool:
    """Whether channels pass the operator's shortcut under their own number."""
    return operator.shortcut != "none" and not operator.shortcut_convolves
