"""Feature maps of a network's body, as detection and segmentation read them.

A map is what the last operator before the stride changes writes (the convention of timm's
``features_only``); the head, with its convolution, is no part of the body.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from supernet.errors import ConfigError
from supernet.space.dimensions import Place
from supernet.space.genes import largest_subnet
from supernet.space.layout import layout_of
from supernet.space.operator import Operator
from supernet.space.spec import Space
from supernet.space.subnet import Subnet, operators, slot_operators

__all__ = [
    "LARGEST_SIDE",
    "WHOLE",
    "Body",
    "FeatureMap",
    "body_operators",
    "body_slots",
    "check_size",
    "chosen_maps",
    "feature_maps",
    "places_of",
    "resized",
]


LARGEST_SIDE = 8192
"""Rows or columns of an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Which operators of each subnet of a space count: all, or those that maps need."""

    features: tuple[int, ...] = ()
    """Strides of the maps of a backbone; all operators count when empty."""
    size: tuple[int, int] | None = None
    """Rows and columns of its images; the input size of each subnet when not given."""

    def __post_init__(self) -> None:
        if self.size is None:
            return
        if not self.features:
            raise ConfigError("size: is for backbones", hint="add features, such as 8,16,32")
        check_size(self.size, max(self.features))

    def __str__(self) -> str:
        at = f" at {self.size[0]}x{self.size[1]}" if self.size else ""
        return f"backbones with maps at {','.join(map(str, self.features))}{at}"

    def of(self, subnet: Subnet, operators: Sequence[Operator]) -> Sequence[Operator]:
        """Those of a subnet that count, at that size.

        Raises:
            ConfigError: as `feature_maps` and `chosen_maps`.
        """
        if not self.features:
            return operators
        body = body_operators(subnet, operators, self.features)
        return resized(body, *self.size) if self.size else body


WHOLE = Body()
"""All operators, at the input size of each subnet."""


def check_size(size: tuple[int, int], last: int) -> None:
    """Refuse images that a backbone cannot read.

    Args:
        size: rows and columns.
        last: stride of the last map.

    Raises:
        ConfigError: smaller than that stride, or too large.
    """
    if not all(last <= side <= LARGEST_SIDE for side in size):
        raise ConfigError(
            f"size: rows and columns must be from {last}, the last stride, to {LARGEST_SIDE}, "
            f"found {size[0]}x{size[1]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMap:
    """The last map at a stride."""

    stride: int
    """Pixels of the image a pixel of the map, along each side."""
    channels: int
    place: Place
    """Of the operator that writes it; prints as ``stage3.block4``."""
    index: int
    """Of that operator in the network."""

    @property
    def name(self) -> str:
        """Of the output in files: ``stride8``."""
        return f"stride{self.stride}"


def feature_maps(subnet: Subnet, operators: Sequence[Operator]) -> tuple[FeatureMap, ...]:
    """The maps that a network has, the finest first.

    Args:
        subnet: tells stem, stages and head apart.
        operators: of the subnet, in network order.

    Raises:
        ConfigError: it is of cells, which read maps of two strides.
    """
    if subnet.cells:
        raise ConfigError(
            f"features: space {subnet.space!r} has cells, whose maps are not to be had one by one",
            hint="take a backbone from a space of stages",
        )
    found: dict[int, FeatureMap] = {}
    stride = 1
    for index, (place, operator) in enumerate(zip(places_of(subnet, operators), operators)):
        if place.part == "head":
            break
        stride *= operator.stride
        found[stride] = FeatureMap(
            stride=stride, channels=operator.out_channels, place=place, index=index
        )
    return tuple(found.values())


def chosen_maps(known: Sequence[FeatureMap], strides: Sequence[int]) -> tuple[FeatureMap, ...]:
    """Those at some strides, in network order.

    Raises:
        ConfigError: a stride that the network does not have, one that is given twice, or none.
    """
    there = ", ".join(str(one.stride) for one in known)
    missing = [str(stride) for stride in strides if stride not in {one.stride for one in known}]
    if missing or not strides:
        what = f"no map of stride {', '.join(missing)}" if missing else "maps, and none was named"
        raise ConfigError(f"features: the network has {what}; its strides are {there}")
    if len(set(strides)) < len(strides):
        raise ConfigError(f"features: a stride is given twice: {', '.join(map(str, strides))}")
    return tuple(one for one in known if one.stride in strides)


def body_operators(
    subnet: Subnet, operators: Sequence[Operator], strides: Sequence[int]
) -> Sequence[Operator]:
    """The operators, from the first on, that the maps at some strides need.

    Raises:
        ConfigError: as `feature_maps` and `chosen_maps`.
    """
    last = chosen_maps(feature_maps(subnet, operators), strides)[-1]
    return operators[: last.index + 1]


def body_slots(space: Space, strides: Sequence[int]) -> int:
    """How many slots of a space, from the first on, the maps at some strides need.

    Raises:
        ConfigError: as `feature_maps` and `chosen_maps`.
    """
    subnet = largest_subnet(space)
    count = len(body_operators(subnet, operators(space, subnet), strides))
    last, _ = slot_operators(space, subnet)[count - 1]
    return [slot.name for slot in layout_of(space).slots].index(last.name) + 1


def resized(operators: Sequence[Operator], height: int, width: int) -> list[Operator]:
    """The same operators, from the first one on, for images of another size."""
    found = []
    for operator in operators:
        found.append(replace(operator, height=height, width=width))
        height, width = found[-1].out_height, found[-1].out_width
    return found


def places_of(subnet: Subnet, operators: Sequence[Operator]) -> list[Place]:
    """Where the operators of a subnet stand: the stem, the blocks of each stage, the head."""
    if subnet.cells:
        return list(_places_in_cells(len(subnet.cells[0].nodes), operators))
    blocks = [
        Place("stage", number, block)
        for number, stage in enumerate(subnet.stages, start=1)
        for block in range(1, len(stage.blocks) + 1)
    ]
    stem = 1 + subnet.stem_depth + (subnet.stem_out > 0)
    stem += any(operator.op == "maxpool" for operator in operators)
    head = len(operators) - stem - len(blocks)
    return [Place("stem")] * stem + blocks + [Place("head")] * head


def _places_in_cells(nodes: int, operators: Sequence[Operator]) -> Iterator[Place]:
    """The stem, the nodes of each cell, the head: a node ends with a sum."""
    cell, node = 0, nodes  # the stem counts as what is over
    for operator in operators:
        if operator.op in ("pool", "linear"):
            yield Place("head")
            continue
        if node == nodes and operator.op != "concat":
            if cell == 0 and operator is operators[0]:
                yield Place("stem")
                continue
            cell, node = cell + 1, 0
        yield Place("cell", cell, 0 if node == nodes else node + 1)
        node += operator.op == "add"
