"""The auxiliary classifier of cells, in training only (arXiv:1707.07012, appendix A.7).

It reads what the last normal cell of the second group writes, so that the cells before it learn
from a loss that is nearer. It is no part of a subnet: nothing of it is extracted or counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic import ElasticBatchNorm, ElasticConv, ElasticConvNorm
from supernet.elastic.spans import Spans
from supernet.errors import ConfigError, FileFormatError
from supernet.models import Supernet
from supernet.space import Space
from supernet.space.layout import Choice, Layout, Slot, layout_of
from supernet.space.subnet import subnet_values
from supernet.train.recipe import Recipe
from supernet.train.sampling import step_rng

__all__ = ["AuxiliaryHead", "Trained", "auxiliary_head", "check_auxiliary"]

_WINDOW, _STRIDE = 5, 3
_NARROW, _WIDE = 128, 768


class AuxiliaryHead(nn.Module):
    """Activation, average pooling, two convolutions with batch norm, a linear layer.

    The first convolution holds columns for all states that may be concatenated, as other readers
    of them do; the second reads all that is left of the map, at smaller input sizes with the
    middle of its window.

    Args:
        supernet: whose cells it helps to train.
    """

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        space, slot = supernet.space, _reader(supernet.layout, supernet.space)
        self._slot, self._known = slot, dict[tuple[Choice, ...], _Map]()
        maps = [_map_of(slot, values) for values in slot.combinations()]
        widest, sizes = max(found.end for found in maps), {found.left for found in maps}
        self.narrow = _normalised(space, ElasticConv(widest, _NARROW), _NARROW)
        whole = ElasticConv(_NARROW, _WIDE, kernels=sorted(sizes), valid=True, learned=False)
        self.whole = _normalised(space, whole, _WIDE)
        self.linear = nn.Linear(_WIDE, space.num_classes)

    @contextmanager
    def watching(self, supernet: Supernet) -> Iterator[list[Tensor]]:
        """Within it, each pass through the supernet appends the map that the head reads."""
        values = subnet_values(supernet.layout, supernet.subnet)
        key = tuple([values[dimension.name] for dimension in self._slot.dimensions])
        if key not in self._known:
            self._known[key] = _map_of(self._slot, key)
        found, seen = self._known[key], list[Tensor]()
        self.narrow.activate(found.channels, _NARROW, reads=found.spans)
        self.whole.activate(_NARROW, _WIDE, found.left)
        (reader,) = (place.module for place in supernet.places if place.slot is self._slot)
        handle = reader.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            yield seen
        finally:
            handle.remove()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` of the map to ``(N, classes)`` logits."""
        x = F.avg_pool2d(F.relu(x), _WINDOW, _STRIDE)
        logits: Tensor = self.linear(self.whole(self.narrow(x)).flatten(1))
        return logits


class Trained(nn.Module):
    """What a training changes: a supernet, and its auxiliary head where there is one."""

    def __init__(self, supernet: Supernet, head: AuxiliaryHead | None = None) -> None:
        super().__init__()
        self.supernet, self.head = supernet, head

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, C, H, W)`` to ``(N, classes)`` logits, then those of the head."""
        if self.head is None:
            return [self.supernet(x)]
        with self.head.watching(self.supernet) as seen:
            logits = self.supernet(x)
        return [logits, self.head(seen[0])]

    def head_state(self) -> dict[str, Tensor]:
        """Copies of the weights of the head; none where there is none."""
        state = {} if self.head is None else self.head.state_dict()
        return {name: value.detach().clone() for name, value in state.items()}

    def load_head(self, state: dict[str, Tensor]) -> None:
        """Go on from the weights of a head.

        Raises:
            FileFormatError: they are of another one.
        """
        own = {name: value.shape for name, value in self.head_state().items()}
        if own != {name: value.shape for name, value in state.items()}:
            raise FileFormatError(
                "the checkpoint was written with another auxiliary head, or with none",
                hint="resume with the recipe that the run was started with",
            )
        if self.head is not None:
            self.head.load_state_dict(state)


def auxiliary_head(supernet: Supernet, recipe: Recipe, seed: int) -> AuxiliaryHead | None:
    """The head that a recipe asks for, where the supernet is; its weights depend on the seed alone.

    Raises:
        ConfigError: as `check_auxiliary`.
    """
    check_auxiliary(supernet.space, recipe)
    if not recipe.auxiliary:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(step_rng(seed, "auxiliary", 0).integers(2**31)))
        head = AuxiliaryHead(supernet)
    like = next(supernet.parameters())
    head.to(like.device, like.dtype)
    return head.to(memory_format=torch.channels_last)


def check_auxiliary(space: Space, recipe: Recipe) -> None:
    """Refuse an auxiliary head where there is no place for it.

    Raises:
        ConfigError: a space without cells, or a map that is smaller than what the head pools.
    """
    if not recipe.auxiliary:
        return
    asked = f"auxiliary: {recipe.auxiliary:g} asks for a head"
    if space.cells is None:
        raise ConfigError(
            f"{asked} behind cells, and space {space.name!r} has none", hint="give auxiliary: 0"
        )
    slot = _reader(layout_of(space), space)
    resolution = space.resolutions[0]
    operator = slot.make(*next(slot.combinations(resolution)))
    assert operator is not None
    if operator.height < _WINDOW:
        raise ConfigError(
            f"{asked} that pools {_WINDOW}x{_WINDOW} pixels, and at {resolution} px the maps of "
            f"the second group of cells have {operator.height}x{operator.width}",
            hint="give auxiliary: 0, or larger resolutions",
        )


class _Map(NamedTuple):
    """What the head reads of a subnet."""

    channels: int
    spans: Spans
    end: int
    """Of the last channel, among all that may be there."""
    left: int
    """Rows, and columns, behind the pooling."""


def _reader(layout: Layout, space: Space) -> Slot:
    """The slot that reads the same map: that which fits it for the next cell."""
    assert space.cells is not None
    name = f"cell{space.cells.second_group_ends + 1}.cur"
    (found,) = (slot for slot in layout.slots if slot.name == name)
    return found


def _map_of(slot: Slot, values: tuple[Choice, ...]) -> _Map:
    operator = slot.make(*values)
    assert operator is not None
    spans = None if slot.picks is None else slot.picks(*values)
    end = operator.in_channels if spans is None else max(stop for _, stop in spans)
    left = (operator.height - _WINDOW) // _STRIDE + 1
    return _Map(operator.in_channels, spans, end, left)


def _normalised(space: Space, conv: ElasticConv, channels: int) -> ElasticConvNorm:
    norm = ElasticBatchNorm(channels, momentum=space.bn_momentum, eps=space.bn_eps)
    return ElasticConvNorm(conv, norm, nn.ReLU(inplace=True))
