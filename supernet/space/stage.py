"""What may be chosen of a stage: blocks of one width, the first of which has a stride."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from supernet.blocks import KINDS
from supernet.errors import ConfigError
from supernet.space._choices import choice_problems, kind_problems
from supernet.space.operator import Activation, Gate, Shortcut

__all__ = ["EXPANDING", "STARTING", "BlockKind", "Stage"]

BlockKind: TypeAlias = str
"""One of `supernet.blocks.KINDS`."""

EXPANDING: tuple[BlockKind, ...] = tuple(kind.name for kind in KINDS.values() if kind.expands)
"""The kinds of block on which an expand ratio has an effect: last among all kinds."""

STARTING: tuple[BlockKind, ...] = tuple(kind.name for kind in KINDS.values() if kind.starts)
"""Those with a depthwise convolution before the expansion: last among these."""

_IN_STAGES: tuple[BlockKind, ...] = tuple(kind.name for kind in KINDS.values() if not kind.in_cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Blocks of one output width; the first of them has the stride."""

    block: tuple[BlockKind, ...] = ("mbconv",)
    """Choices of the kind of block, one for the whole stage, in the order of
    `supernet.blocks.KINDS`."""
    width: tuple[int, ...]
    """Choices of output channels, one for the whole stage."""
    depth: tuple[int, ...]
    """Choices of the number of blocks; the first ones of the stage are kept. 0 leaves the stage
    out, where it has stride 1 and the one width of what is before it."""
    kernel: tuple[int, ...] = (3,)
    """Choices of the size of the (middle) convolution, one per block; 0 for none, where the
    kind has a `start`."""
    start: tuple[int, ...] = (0,)
    """Choices of the size of a depthwise convolution before the expansion, one per block; 0 for
    none. Only for ``uib``. A stride stands in the middle convolution: in the block that has the
    stride that is never left out, if the stage has one."""
    expand: tuple[float, ...] = (6,)
    """Choices of middle / input channels (``bottleneck``: middle / output channels), one per
    block; without effect on ``conv`` and ``dsconv``. 1 means no expansion convolution in an
    ``mbconv`` and cannot be mixed with other ratios there."""
    shared: bool = False
    """Whether all blocks of the stage have one kernel, one start and one expand."""
    stride: int = 1
    """Stride of the first block."""
    group_width: int = 0
    """Channels of each group of a bottleneck's middle convolution; 0 for one group."""
    act: Activation = "relu"
    """Activation inside the blocks."""
    se: tuple[float, ...] = (0.0,)
    """Squeeze-excite, choices for the whole stage: hidden channels as a share; 0 for
    none."""
    se_of: Literal["mid", "in"] = "mid"
    """Share of what: of the gated channels, rounded to multiples of 8 (MobileNetV3),
    or of the block's input channels, rounded down (MnasNet)."""
    gate: Gate = "hard_sigmoid"
    """How squeeze-excite gates: ``hard_sigmoid``, behind hidden channels with relu (MobileNetV3);
    ``sigmoid``, behind hidden channels with `act` (EfficientNet, RegNet); ``hard_sigmoid_act``,
    likewise (FBNetV3)."""
    shortcut: tuple[Shortcut, ...] = ("identity",)
    """Choices of how a block adds its input to its output, one for the whole stage:
    ``none``; ``identity`` and ``pool``, wherever shapes allow; ``project``,
    ``project_norm`` and ``conv_norm``, everywhere (see `Operator.shortcut`)."""
    heads: tuple[int, ...] = (0,)
    """Choices of the number of heads of an attention (``mqa``), one per block; 0 elsewhere."""
    key_size: tuple[int, ...] = (0,)
    """Choices of the channels of its keys and values, and so of each head of its query, one per
    block; 0 for the width divided by the heads, where neither is to choose."""
    reduction: int = 1
    """By how much fewer rows and columns an attention has to attend to: the stride of a depthwise
    convolution of size `kernel` before keys and values; 1 for none."""

    def __post_init__(self) -> None:
        problems = kind_problems("block", self.block, _IN_STAGES)
        known = not problems
        problems += choice_problems("width", self.width, 1, 8192)
        problems += choice_problems("depth", self.depth, 1, 32, none=True)
        problems += choice_problems("kernel", self.kernel, 1, 15, odd=True, none=True)
        problems += choice_problems("start", self.start, 1, 15, odd=True, none=True)
        problems += choice_problems("expand", self.expand, 0.01, 16)
        problems += choice_problems("stride", [self.stride], 1, 4)
        problems += choice_problems("group_width", [self.group_width], 0, 4096)
        problems += choice_problems("se", self.se, 0, 1)
        problems += kind_problems("shortcut", self.shortcut, get_args(Shortcut))
        problems += choice_problems("heads", self.heads, 1, 256, none=True)
        problems += choice_problems("key_size", self.key_size, 1, 1024, none=True)
        problems += choice_problems("reduction", [self.reduction], 1, 4)
        if known:
            problems += [*self._unfit(), *self._unfit_start(), *self._unfit_heads()]
        if problems:
            raise ConfigError(problems)

    def _unfit(self) -> list[str]:
        """Choices that do not fit the kinds of block."""
        problems = []
        changing = any(KINDS[kind].unexpanded for kind in self.block)
        if 1 in self.expand and len(self.expand) > 1 and changing:
            problems.append(f"expand: 1 cannot be mixed with others, found {list(self.expand)}")
        if self.depth == (0,) or (0 in self.depth and self.stride > 1):
            rule = "leaves the stage out, which needs another choice and stride 1"
            problems.append(f"depth: 0 {rule}, found {list(self.depth)}, stride {self.stride}")
        if len(self.expand) > 1 and not set(self.block) & set(EXPANDING):
            problems.append(f"expand: has no effect on {', '.join(self.block)}; give one value")
        grouped = [name for name, kind in KINDS.items() if kind.grouped]
        if self.group_width and not set(self.block) <= set(grouped):
            found = list(self.block)
            problems.append(f"group_width: needs block {' or '.join(grouped)}, found {found}")
        ungated = [kind for kind in self.block if not KINDS[kind].gates]
        if any(self.se) and ungated:
            problems.append(f"se: a {ungated[0]} has no squeeze-excite")
        if self.gate == "hard_sigmoid_act" and self.act == "relu":
            problems.append("gate: hard_sigmoid_act with act relu is hard_sigmoid")
        return problems

    def _unfit_start(self) -> list[str]:
        kinds = " or ".join(STARTING)
        if 0 in self.kernel and not set(self.block) <= set(STARTING):
            return [f"kernel: 0 needs block {kinds} alone, found {list(self.block)}"]
        if self.start != (0,) and not set(self.block) & set(STARTING):
            return [f"start: needs block {kinds}, found {list(self.block)}"]
        if self.stride > 1 and not any((*self.kernel, *self.start)):
            return [
                f"kernel 0 with start 0 makes no block of stride {self.stride}: no convolution "
                "is left for it; give kernel or start another choice"
            ]
        return []

    def _unfit_heads(self) -> list[str]:
        """Choices of an attention that it cannot have, or that none is there for."""
        kinds = [name for name, kind in KINDS.items() if kind.attends]
        own = [kind for kind in self.block if kind in kinds]
        if not own:
            given = {"heads": self.heads != (0,), "key_size": self.key_size != (0,)}
            given["reduction"] = self.reduction > 1
            found = [name for name, is_given in given.items() if is_given]
            only = " or ".join(kinds)
            return [f"{name}: needs block {only}, found {list(self.block)}" for name in found]
        if len(self.block) > 1:
            return [f"block: {own[0]} must be the only kind of a stage, found {list(self.block)}"]
        if 0 in self.heads:
            more = "; key_size alone says nothing" * (self.key_size != (0,))
            return [f"heads: block {own[0]} needs them, such as heads: 4{more}"]
        problems = []
        if 0 in self.key_size:
            problems = [
                f"heads: {heads} do not divide the width {width}; give a key_size, or other heads"
                for heads in self.heads
                for width in self.width
                if width % heads
            ]
            if max(len(self.key_size), len(self.heads), len(self.width)) > 1:
                problems.append(
                    "key_size: 0, the width divided by the heads, needs one width and one number "
                    f"of heads; give sizes, such as key_size: {max(1, self.width[0] // 4)}"
                )
        if self.stride > 1:
            problems.append(f"stride: block {own[0]} has none, found {self.stride}")
        if self.reduction == 1 and len(self.kernel) > 1:
            problems.append(
                f"kernel: has no effect on {own[0]} without reduction, found {list(self.kernel)}"
            )
        return problems

    def block_choices(self, kind: str, block: int) -> tuple[float, ...]:
        """Choices of one of `supernet.space.dimensions.PER_BLOCK` in a block, counted from 0.

        The stride stands in one convolution: in the block that has it, that is always there.
        """
        choices: tuple[float, ...] = getattr(self, kind)
        strided = self.stride > 1 and (self.shared or block == 0)
        if strided and kind == ("kernel" if any(self.kernel) else "start"):
            return tuple(choice for choice in choices if choice)
        return choices

    @property
    def max_depth(self) -> int:
        """Blocks of the deepest choice."""
        return self.depth[-1]
