"""From a network's operators back to a subnet: in a known space, or in one of its own."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from supernet.blocks import KINDS
from supernet.errors import ConfigError
from supernet.space.layout import Layout, Slot, layout_of
from supernet.space.operator import Activation, Operator
from supernet.space.spec import Head, Space, Stem
from supernet.space.stage import EXPANDING, Stage
from supernet.space.subnet import Block, StageChoice, Subnet

__all__ = ["find_subnet", "fixed_space", "only_operators"]

_Values = dict[str, Any]
_DOCUMENTED = "docs/any_cnn.md lists what converts, docs/space.md what a space has"


def find_subnet(space: Space, operators: Sequence[Operator]) -> Subnet | None:
    """The subnet of `space` that consists of `operators`, or None where there is none.

    The number of classes and of input channels may differ from the space's. Operators that follow
    each other are no subnet of a space of cells, whose networks are graphs.

    Args:
        space: where to look.
        operators: of a whole network, in order.
    """
    if space.cells is not None:
        return None
    first, last = operators[0], operators[-1]
    space = replace(space, num_classes=last.out_channels, in_channels=first.in_channels)
    layout = layout_of(space)
    if first.height not in layout.resolution.choices:
        return None
    start = {layout.resolution.name: first.height}
    values = _Search(layout.slots, tuple(operators)).match(0, 0, start)
    return None if values is None else _subnet(space, layout, values)


class _Search:
    """For values of all dimensions under which the slots hold exactly these operators."""

    def __init__(self, slots: Sequence[Slot], operators: Sequence[Operator]) -> None:
        self._slots, self._operators = slots, operators
        self._uses = Counter(dimension.name for slot in slots for dimension in slot.dimensions)
        # names that a slot or a later one depends on
        self._ahead: list[set[str]] = [set()]
        for slot in reversed(slots):
            self._ahead.append(self._ahead[-1] | {d.name for d in slot.dimensions})
        self._ahead.reverse()
        self._hopeless: set[tuple[object, ...]] = set()

    def match(self, slot: int, place: int, values: _Values) -> _Values | None:
        """The values, if the slots from `slot` on hold the operators from `place` on.

        What failed once is not tried again under values that differ only in what the
        slots ahead do not depend on: without that, choices that look alike multiply.
        """
        if slot == len(self._slots):
            return values if place == len(self._operators) else None
        relevant = {name: values[name] for name in self._ahead[slot] & values.keys()}
        state = (slot, place, frozenset(relevant.items()))
        if state in self._hopeless:
            return None
        wanted = self._operators[place] if place < len(self._operators) else None
        for chosen, there in _candidates(self._slots[slot], wanted, values, self._uses):
            found = self.match(slot + 1, place + there, chosen)
            if found is not None:
                return found
        self._hopeless.add(state)
        return None


def _candidates(
    slot: Slot, wanted: Operator | None, values: _Values, uses: Counter[str]
) -> Iterator[tuple[_Values, bool]]:
    """Choices of the slot's dimensions that make `wanted` there, or skip the slot.

    Of dimensions that no other slot depends on, the first choice that does either is enough.
    """
    undecided = [d for d in slot.dimensions if d.name not in values]
    shared = [d for d in undecided if uses[d.name] > 1]
    own = [d for d in undecided if uses[d.name] == 1]
    for handed_on in itertools.product(*(d.choices for d in shared)):
        tried = set()
        for alone in itertools.product(*(d.choices for d in own)):
            pairs = zip((*shared, *own), (*handed_on, *alone))
            chosen = values | {dimension.name: choice for dimension, choice in pairs}
            operator = slot.make(*(chosen[dimension.name] for dimension in slot.dimensions))
            if operator in (None, wanted) and operator not in tried:
                tried.add(operator)
                yield chosen, operator is not None


def _subnet(space: Space, layout: Layout, values: _Values) -> Subnet:
    stages = tuple(
        StageChoice(
            width=values[own.width.name],
            block=values[own.block.name],
            se=values[own.se.name],
            shortcut=values[own.shortcut.name],
            blocks=tuple(
                Block(**{name: values[dims[b].name] for name, dims in own.of_blocks()})
                for b in range(values[own.depth.name])
            ),
        )
        for own in layout.stages
    )
    return Subnet(
        space=space.name,
        space_hash=space.hash,
        resolution=values[layout.resolution.name],
        stem_width=values[layout.stem_width.name],
        stem_depth=values.get(layout.stem_depth.name, 0),
        stem_out=values.get(layout.stem_out.name, 0),
        stages=stages,
        features=values.get(layout.features.name, 0),
    )


def fixed_space(
    name: str, operators: Sequence[Operator], *, bn_eps: float = 1e-5, layers: Sequence[str] = ()
) -> Space:
    """A space whose only subnet is the network of these operators.

    Every block is a stage of its own, so that a plain network's weights fit as they are.

    Args:
        name: of the space.
        operators: of a whole network: stem, blocks, head.
        bn_eps: of its batch norm.
        layers: for messages, what each operator is in the network that it comes from.

    Raises:
        ConfigError: the operators do not follow each other as in any space; names the first
            that does not.
    """
    kinds = [operator.op for operator in operators]
    if "pool" not in kinds or kinds[0] != "conv":
        raise ConfigError("a network starts with a convolution and pools before its last layers")
    blocks = list(operators[1 : kinds.index("pool")])
    head = operators[kinds.index("pool") :]
    stem = operators[0]
    residual = list(itertools.takewhile(lambda o: _extends_stem(o, stem), blocks))
    if not residual and "maxpool" in kinds:  # ResNet-D: a deep stem that adds nothing
        residual = list(itertools.takewhile(lambda o: _deepens_stem(o, stem), blocks))
    del blocks[: len(residual)]
    out = [blocks.pop(0)] if blocks[1:] and _is_conv(blocks[0], stem.kernel, stem.act) else []
    pool = [blocks.pop(0)] if blocks and blocks[0].op == "maxpool" else []
    last = [blocks.pop()] if blocks and _is_conv(blocks[-1], 1, blocks[-1].act) else []
    first = 1 + len(residual) + len(out) + len(pool)
    space = Space(
        name=name,
        about="one network",
        resolutions=(stem.height,),
        stem=Stem(
            width=(stem.out_channels,),
            kernel=stem.kernel,
            stride=stem.stride,
            act=stem.act,
            depth=(len(residual),),
            out=tuple(operator.out_channels for operator in out),
            maxpool=bool(pool),
            residual=not residual or residual[0].shortcut == "identity",
        ),
        stages=tuple(_stages(blocks, layers[first:])),
        head=_head(last, head[1:-1], layers[1 - len(head) : -1]),
        bn_eps=bn_eps,
        padding="same" if any(o.padding == "same" for o in operators) else "symmetric",
        in_channels=stem.in_channels,
        num_classes=operators[-1].out_channels,
    )
    _check_follow(only_operators(space), operators, layers)
    return space


def _check_follow(
    made: Sequence[Operator], operators: Sequence[Operator], layers: Sequence[str]
) -> None:
    for number, (own, operator) in enumerate(itertools.zip_longest(made, operators)):
        if own != operator:
            layer = layers[number] if number < len(layers) else "there"
            raise ConfigError(
                "its operators do not follow each other as in any space: "
                f"{layer} is {operator.key if operator else 'no more'!r} where a space has "
                f"{own.key if own else 'no more'!r}",
                hint=_way_out(own, operator),
            )


def _way_out(own: Operator | None, operator: Operator | None) -> str:
    """How a network gets the operator that a space has in the place of its own."""
    if own is None or operator is None:
        return _DOCUMENTED
    if replace(own, bias=operator.bias) == operator:
        return "the classifier of a space has a bias: give that of the network one, of zeros"
    if own.mid_channels != operator.mid_channels:
        wide = operator.mid_channels // operator.groups if operator.groups > 1 else 8
        return (
            f"channels inside a block are multiples of {wide} in a space, and here they are "
            f"{operator.mid_channels}: make them {own.mid_channels}; with weights of 0 for the new "
            "ones the network computes the same"
        )
    return _DOCUMENTED


def _head(last: Sequence[Operator], mixing: Sequence[Operator], layers: Sequence[str]) -> Head:
    """With the convolution before the pooling and the layers between it and the classifier."""
    if len(mixing) > 1:
        where = f"{layers[1]}: " if layers else ""
        raise ConfigError(
            f"{where}between pooling and classifier a space has one layer, here are {len(mixing)}",
            hint=_DOCUMENTED,
        )
    return Head(
        width=last[0].out_channels if last else 0,
        features=tuple(operator.out_channels for operator in mixing),
        features_bias=any(operator.bias for operator in mixing),
        features_norm=any(operator.op == "conv" for operator in mixing),
        act=next((operator.act for operator in (*last, *mixing)), "relu"),
    )


def only_operators(space: Space) -> list[Operator]:
    """Those of a space in which nothing is to be chosen."""
    made = [slot.make(*(d.choices[-1] for d in slot.dimensions)) for slot in layout_of(space).slots]
    return [operator for operator in made if operator is not None]


def _is_conv(operator: Operator, kernel: int, act: Activation) -> bool:
    """Whether it is a plain convolution that neither gates nor adds anything."""
    plain = operator.op == "conv" and operator.shortcut == "none" and not operator.se
    return plain and (operator.kernel, operator.stride, operator.act) == (kernel, 1, act)


def _extends_stem(operator: Operator, stem: Operator) -> bool:
    plain = operator.op == "conv" and operator.shortcut == "identity" and not operator.se
    return plain and (operator.kernel, operator.act) == (stem.kernel, stem.act)


def _deepens_stem(operator: Operator, stem: Operator) -> bool:
    same = operator.in_channels == operator.out_channels == stem.out_channels
    return same and _is_conv(operator, stem.kernel, stem.act)


def _stages(blocks: Sequence[Operator], layers: Sequence[str]) -> Iterator[Stage]:
    """A stage for each block; what no stage has is told with the layer that it stands for."""
    for number, operator in enumerate(blocks):
        try:
            yield _stage(operator)
        except ConfigError as error:
            where = f"{layers[number]}: " if layers else ""
            told = [f"{where}{problem}" for problem in error.problems]
            raise ConfigError(told, hint=_DOCUMENTED) from None


def _stage(operator: Operator) -> Stage:
    if operator.op not in KINDS:
        raise ConfigError(f"{operator.key!r} cannot stand between blocks")
    of_output = KINDS[operator.op].middle == "out"
    read = operator.out_channels if of_output else operator.in_channels
    expands, gated = operator.op in EXPANDING, operator.gated_channels
    rounded = operator.se % 8 == 0
    return Stage(
        block=(operator.op,),
        width=(operator.out_channels,),
        depth=(1,),
        kernel=(operator.kernel,),
        start=(operator.start,),
        expand=(operator.mid_channels / read if expands else 6.0,),
        stride=operator.stride,
        group_width=operator.mid_channels // operator.groups if operator.groups > 1 else 0,
        act=operator.act,
        se=(operator.se / gated if rounded else (operator.se + 0.5) / operator.in_channels,),
        se_of="mid" if rounded else "in",
        gate=operator.gate,
        shortcut=(operator.shortcut,),
        heads=(operator.heads,),
        key_size=(operator.mid_channels // operator.heads if operator.heads else 0,),
        reduction=operator.reduction,
    )
