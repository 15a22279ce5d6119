"""The slots before and after the stages or the cells of a network."""

from collections.abc import Callable, Iterator
from typing import Any

from supernet.space.cell_slots import Joined
from supernet.space.dimensions import Choice, Dimension, Place, Slot
from supernet.space.operator import Operator, Padding, Shortcut, round_channels
from supernet.space.spec import Space, Stem

__all__ = [
    "cell_head",
    "head_slots",
    "padding_of",
    "size_behind",
    "stem_size",
    "stem_slots",
]

_STEM, _HEAD = Place("stem"), Place("head")


def stem_size(space: Space, resolution: int) -> int:
    """Rows of what the first convolution writes."""
    stem = space.stem
    return (resolution - (stem.kernel if stem.valid else 1)) // stem.stride + 1


def size_behind(space: Space, resolution: int, strides: tuple[int, ...]) -> int:
    """Rows behind the whole stem and layers of these strides."""
    size = stem_size(space, resolution)
    for stride in (*([2] if space.stem.maxpool else []), *strides):
        size = (size - 1) // stride + 1
    return size


def stem_slots(
    space: Space, resolution: Dimension, width: Dimension, depth: Dimension, out: Dimension
) -> Iterator[Slot]:
    """The convolutions and the pooling of the stem."""
    stem = space.stem

    def first(resolution: int, width: int) -> Operator:
        padding = "valid" if stem.valid else padding_of(space, stem.kernel, stem.stride)
        read = space.in_channels
        return _stem_conv(stem, resolution, read, width, stride=stem.stride, padding=padding)

    def last(resolution: int, width: int, out: int) -> Operator:
        return _stem_conv(stem, stem_size(space, resolution), width, out)

    def pool(resolution: int, width: int) -> Operator:
        size = stem_size(space, resolution)
        return Operator(
            op="maxpool",
            in_channels=width,
            out_channels=width,
            kernel=3,
            stride=2,
            height=size,
            width=size,
        )

    yield Slot("stem", _STEM, (resolution, width), first)
    for number in range(1, stem.depth[-1] + 1):
        place = Place("stem", block=number)
        yield Slot(str(place), place, (resolution, width, depth), _stem_block(space, number))
    if stem.out:
        yield Slot("stem.out", _STEM, (resolution, width, out), last)
    if stem.maxpool:
        yield Slot("stem.pool", _STEM, (resolution, out if stem.out else width), pool)


def _stem_conv(stem: Stem, size: int, before: int, after: int, **other: Any) -> Operator:
    return Operator(
        op="conv",
        in_channels=before,
        out_channels=after,
        kernel=stem.kernel,
        act=stem.act,
        height=size,
        width=size,
        **other,
    )


def _stem_block(space: Space, number: int) -> Callable[..., Operator | None]:
    stem = space.stem

    def make(resolution: int, width: int, depth: int) -> Operator | None:
        if number > depth:
            return None
        size = stem_size(space, resolution)
        shortcut: Shortcut = "identity" if stem.residual else "none"
        return _stem_conv(stem, size, width, width, shortcut=shortcut)

    return make


def padding_of(space: Space, kernel: int, stride: int) -> Padding:
    """That of an operator, for which only some kernels and strides have a choice."""
    return "symmetric" if 1 in (kernel, stride) else space.padding


def head_slots(
    space: Space, resolution: Dimension, width: Dimension, features: Dimension
) -> Iterator[Slot]:
    """What follows the last stage."""
    head = space.head
    strides = tuple(stage.stride for stage in space.stages)

    def channels(width: int) -> int:
        """Channels that are pooled."""
        return round_channels(width * head.expand) if head.expand else head.width or width

    def conv(resolution: int, width: int) -> Operator:
        size = size_behind(space, resolution, strides)
        return Operator(
            op="conv",
            in_channels=width,
            out_channels=channels(width),
            act=head.act,
            height=size,
            width=size,
        )

    def pool(resolution: int, width: int) -> Operator:
        size, count = size_behind(space, resolution, strides), channels(width)
        return _pool(space, count, size)

    def mix(width: int, features: int) -> Operator:
        if head.features_norm:
            return Operator(
                op="conv", in_channels=channels(width), out_channels=features, act=head.act
            )
        return Operator(
            op="linear",
            in_channels=channels(width),
            out_channels=features,
            act=head.act,
            bias=head.features_bias,
        )

    def classifier(width: int, features: int) -> Operator:
        read = features or channels(width)
        return Operator(op="linear", in_channels=read, out_channels=space.num_classes, bias=True)

    if head.width or head.expand:
        yield Slot("head.conv", _HEAD, (resolution, width), conv)
    yield Slot("head.pool", _HEAD, (resolution, width), pool)
    if head.features:
        yield Slot("head.features", _HEAD, (width, features), mix)
    yield Slot("head.classifier", _HEAD, (width, features), classifier)


def cell_head(space: Space, resolution: Dimension, last: Joined) -> Iterator[Slot]:
    """Pooling and classifier of what the last cell writes."""

    def pool(resolution: int, *chosen: Choice) -> Operator:
        size, count = last.size(resolution), last.channels(*chosen)
        return _pool(space, count, size)

    def classifier(*chosen: Choice) -> Operator:
        read = last.channels(*chosen)
        return Operator(op="linear", in_channels=read, out_channels=space.num_classes, bias=True)

    reads = (resolution, *last.dimensions)
    yield Slot("head.pool", _HEAD, reads, pool, alike=last.alike(resolution))
    yield Slot(
        "head.classifier",
        _HEAD,
        last.dimensions,
        classifier,
        picks=last.ranges if last.varies else None,
        alike=last.alike(),
    )


def _pool(space: Space, channels: int, size: int) -> Operator:
    return Operator(
        op="pool",
        in_channels=channels,
        out_channels=channels,
        act=space.head.before,
        height=size,
        width=size,
    )
