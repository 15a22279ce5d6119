"""Operators: what a subnet is made of, once every choice is fixed.

An operator knows its shapes and nothing of any space, so one measurement, one
cost formula and one torch module serve every space that uses the same operator.
Blocks are made of parts as `supernet.blocks` says.

MACs are the multiply-adds of convolutions, linear layers and the two matrix products of an
attention; normalisation, scaling, activation, softmax and pooling are not counted (the
convention of Once-for-All and timm, and of torch's own counter).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any, Literal, TypeAlias

from supernet.blocks import KINDS, parts_of
from supernet.errors import ConfigError

__all__ = [
    "OPERATOR_KINDS",
    "Activation",
    "Gate",
    "Operator",
    "OperatorKind",
    "Padding",
    "Shortcut",
    "round_channels",
    "total_macs",
    "total_params",
]

OperatorKind: TypeAlias = str
Shortcut = Literal["none", "identity", "pool", "project", "project_norm", "conv_norm"]
Activation = Literal["none", "relu", "relu6", "hard_swish", "swish"]
Padding = Literal["symmetric", "same", "valid"]
Gate = Literal["hard_sigmoid", "sigmoid", "hard_sigmoid_act"]

OPERATOR_KINDS: tuple[OperatorKind, ...] = (
    *KINDS, "maxpool", "avgpool", "pool", "linear", "add", "concat",
)  # fmt: skip
"""The kinds of block, and what else there is."""

_MAX_SIZE = 1 << 16
_MOST_SHAPES = 4096
_UNFIT: dict[tuple[Any, ...], Sequence[str]] = {}  # an operator is made in many sizes
_KEYS: dict[Shortcut, str] = {
    "none": "",
    "identity": "shortcut",
    "pool": "shortcut-pool",
    "project": "shortcut-project",
    "project_norm": "shortcut-project-norm",
    "conv_norm": "shortcut-conv-norm",
}


def round_channels(value: float, divisor: int = 8) -> int:
    """`value` to the nearest multiple of `divisor`, never below 90 % of it.

    The rule of MobileNetV3 and Once-for-All.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator with fixed shapes; hashable, the key of every latency table.

    A kind of block (`supernet.blocks.KINDS`), or one of these:

    =========== ========================================
    ``maxpool`` maximum over kernel x kernel pixels
    ``avgpool`` mean over kernel x kernel pixels
    ``pool``    activation, global average
    ``linear``  linear layer, activation
    ``add``     sum of two inputs
    ``concat``  the channels of several inputs together
    =========== ========================================
    """

    op: OperatorKind
    in_channels: int
    """Channels of the input, of each where there are several."""
    mid_channels: int = 0
    """Channels between its convolutions; 0 where there are none."""
    out_channels: int
    """Channels of the output."""
    kernel: int = 1
    """Kernel size of the (middle) convolution, odd; 0 for none, where there may be none."""
    stride: int = 1
    """Stride of the (middle) convolution."""
    groups: int = 1
    """Groups of a bottleneck's middle convolution."""
    act: Activation = "none"
    """Activation inside the operator; a projection has none."""
    se: int = 0
    """Hidden channels of the squeeze-excite part; 0 for none."""
    shortcut: Shortcut = "none"
    """How the input is added to the output. ``identity``: as it is; ``pool``: through a
    3x3 average pooling of the same stride; ``project``: through an average pooling of
    window and stride `stride`, where that is above 1, and a 1x1 convolution, where the
    channels differ; ``project_norm``: the same, always with a 1x1 convolution and
    with batch norm (ResNet-D, arXiv:1812.01187); ``conv_norm``: through a 1x1 convolution of
    the same stride and batch norm (ResNet, arXiv:1512.03385)."""
    bias: bool = False
    """Whether a linear layer has a bias."""
    height: int = 1
    """Rows of the input."""
    width: int = 1
    """Columns of the input."""
    padding: Padding = "symmetric"
    """Zeros around what the convolution with the stride reads: ``symmetric``, kernel // 2 on
    each side; ``same``, those of `supernet.blocks.same_pads`, which for stride 1 are no others;
    ``valid``, none, of a plain convolution alone."""
    start: int = 0
    """Kernel size of a depthwise convolution before the expansion, odd; 0 for none."""
    gate: Gate = "hard_sigmoid"
    """How squeeze-excite gates: ``hard_sigmoid``, behind hidden channels with relu
    (MobileNetV3); ``sigmoid``, behind hidden channels with `act` (EfficientNet, RegNet);
    ``hard_sigmoid_act``, likewise (FBNetV3)."""
    heads: int = 0
    """Of an attention, which divide the middle channels among them; 0 where there is none."""
    reduction: int = 1
    """Stride of the convolutions that make fewer pixels to attend to; 1 for none."""

    def __post_init__(self) -> None:
        problems, sizes = [], _sizes_of(self)
        if min(sizes) < 0 or max(sizes) > _MAX_SIZE:
            problems = [
                f"{name}: must be from 0 to {_MAX_SIZE}, found {size}"
                for name, size in zip(_SIZES, sizes)
                if not 0 <= size <= _MAX_SIZE
            ]
        if not problems and min(self.in_channels, self.out_channels, self.stride) < 1:
            problems.append("in_channels, out_channels and stride must be at least 1")
        if not problems and (not self._kernels_fit() or self.height < 1 or self.width < 1):
            problems.append("kernel must be odd, height and width at least 1")
        if self.op in OPERATOR_KINDS:
            problems += [*self._unfit(), *self._unfit_shortcut()]
        else:
            known = ", ".join(OPERATOR_KINDS)
            problems.append(f"op: must be one of {known}; found {self.op!r}")
        problems = problems or list(self._unfit_parts())
        if problems:
            raise ConfigError(problems)

    def _kernels_fit(self) -> bool:
        """Whether they are odd, and 0 only where there may be none."""
        optional = self.op in KINDS and KINDS[self.op].starts
        fits = self.kernel % 2 == 1 or (optional and self.kernel == 0)
        return fits and (self.start == 0 or (optional and self.start % 2 == 1))

    def _unfit(self) -> list[str]:
        """Fields that do not fit the kind of operator or each other."""
        op, mid, groups, kind = self.op, self.mid_channels, self.groups, KINDS.get(self.op)
        problems = []
        if (kind is not None and kind.middle != "") != (mid > 0):
            problems.append(f"mid_channels: {mid} does not fit op {op!r}")
        if kind is not None and kind.middle == "as_read" and mid != self.in_channels:
            problems.append(f"mid_channels: must equal in_channels for op {op!r}")
        if op in _KEEPING and self.in_channels != self.out_channels:
            problems.append(f"out_channels: must equal in_channels for op {op!r}")
        if op == "concat" and self.out_channels % self.in_channels:
            problems.append("out_channels: must be a multiple of in_channels for op 'concat'")
        if self.gate != "hard_sigmoid" and not self.se:
            problems.append(f"gate: {self.gate} needs se")
        if self.gate == "hard_sigmoid_act" and self.act == "relu":
            problems.append("gate: hard_sigmoid_act with act relu is hard_sigmoid")
        if groups < 1 or (groups > 1 and not (kind and kind.grouped)):
            problems.append(f"groups: {groups} does not fit op {op!r}")
        elif mid % groups:
            problems.append(f"groups: {groups} do not divide the {mid} middle channels")
        if self.se and not (kind and kind.gates):
            problems.append(f"se: op {op!r} has no squeeze-excite")
        return [*problems, *self._unfit_padding(), *self._unfit_heads()]

    def _unfit_padding(self) -> list[str]:
        problems = []
        if self.padding == "same" and self.op not in KINDS and self.op not in _POOLING:
            problems.append(f"padding: op {self.op!r} has none")
        if self.padding == "valid" and self.op != "conv":
            problems.append("padding: valid is for op 'conv' alone")
        return problems

    def _unfit_heads(self) -> list[str]:
        """Heads that do not fit the kind of operator or its channels."""
        op, heads = self.op, self.heads
        if (op in KINDS and KINDS[op].attends) != (heads > 0):
            return [f"heads: {heads} does not fit op {op!r}"]
        if heads and self.mid_channels % heads:
            return [f"heads: {heads} do not divide the {self.mid_channels} middle channels"]
        if self.reduction < 1 or (self.reduction > 1 and not heads):
            return [f"reduction: {self.reduction} does not fit op {op!r}"]
        if heads and self.reduction == 1 and self.kernel != 1:
            return [f"kernel: {self.kernel} has no effect on op {op!r} with reduction 1; give 1"]
        return []

    def _unfit_parts(self) -> Sequence[str]:
        """What its parts cannot do, which no number of channels or pixels changes."""
        kind = KINDS.get(self.op)
        if kind is None:
            return ()
        shape = kind, self.kernel, self.start, self.stride, self.reduction, self.padding
        if shape not in _UNFIT:
            if len(_UNFIT) == _MOST_SHAPES:
                _UNFIT.clear()
            _UNFIT[shape] = self._found_unfit()
        return _UNFIT[shape]

    def _found_unfit(self) -> list[str]:
        problems, parts = [], parts_of(self)
        read = {part.name: part for part in parts}
        last, down, across = parts[-1], 1, 1
        while True:  # back to the input
            down, across = down * last.strides[0], across * last.strides[1]
            if last.inputs[0] not in read:
                break
            last = read[last.inputs[0]]
        if {down, across} != {self.stride}:
            kernels = f"kernel {self.kernel}, start {self.start}"
            problems.append(f"stride: {self.stride} needs a convolution to stand in ({kernels})")
        if self.padding == "same" and all(part.padding == "symmetric" for part in parts):
            problems.append("padding: same with kernel or stride 1 is symmetric")
        return problems

    def _unfit_shortcut(self) -> list[str]:
        same = self.in_channels == self.out_channels
        plain = same and self.stride == 1
        if self.shortcut == "none":
            return []
        if self.op not in KINDS:
            return [f"shortcut: op {self.op!r} has none"]
        if self.shortcut == "identity" and not plain:
            return ["shortcut: identity needs stride 1 and in_channels = out_channels"]
        if self.shortcut == "pool" and not same:
            return ["shortcut: pool needs in_channels = out_channels"]
        if self.shortcut in ("project", "conv_norm") and plain:
            return [f"shortcut: {self.shortcut} with stride 1 and the same channels is identity"]
        return []

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return self._windows(self.height)

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return self._windows(self.width)

    def _windows(self, size: int) -> int:
        if self.op == "pool":
            return 1
        lost = self.kernel if self.padding == "valid" else 1
        return (size - lost) // self.stride + 1

    @property
    def inputs(self) -> int:
        """How many it reads."""
        if self.op == "concat":
            return self.out_channels // self.in_channels
        return 2 if self.op == "add" else 1

    @property
    def shortcut_convolves(self) -> bool:
        """Whether the shortcut holds a 1x1 convolution."""
        differ = self.in_channels != self.out_channels
        return self.shortcut_normalises or (self.shortcut == "project" and differ)

    @property
    def shortcut_normalises(self) -> bool:
        """Whether the shortcut holds batch norm."""
        return self.shortcut in ("project_norm", "conv_norm")

    @property
    def shortcut_pool(self) -> int:
        """Window of the shortcut's average pooling; 0 where it has none."""
        if self.shortcut == "pool":
            return 3
        pools = self.shortcut in ("project", "project_norm") and self.stride > 1
        return self.stride if pools else 0

    @property
    def gated_channels(self) -> int:
        """Channels that squeeze-excite gates, where there is one."""
        kind = KINDS.get(self.op)
        return kind.gated_channels(self.mid_channels, self.out_channels) if kind else 0

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        if self.op == "linear":
            return self.in_channels * self.out_channels
        squeeze_excite = 2 * self.gated_channels * self.se
        return sum(part.macs for part in parts_of(self)) + squeeze_excite + self._shortcut_macs

    @property
    def _shortcut_macs(self) -> int:
        if not self.shortcut_convolves:
            return 0
        return self.in_channels * self.out_channels * self.out_height * self.out_width

    @property
    def params(self) -> int:
        """Learned values: weights, biases and the two of each batch norm channel."""
        before, after = self.in_channels, self.out_channels
        if self.op == "linear":
            return before * after + self.bias * after
        shortcut = before * after if self.shortcut_convolves else 0
        shortcut += 2 * after if self.shortcut_normalises else 0
        gated = self.gated_channels
        squeeze_excite = (2 * gated * self.se + self.se + gated) * (self.se > 0)
        own = sum(part.params for part in parts_of(self))
        return own + squeeze_excite + shortcut

    @property
    def gate_acts(self) -> tuple[str, str]:
        """Activation of the hidden channels of squeeze-excite, and what makes the gates."""
        hidden = "relu" if self.gate == "hard_sigmoid" else str(self.act)
        return hidden, "sigmoid" if self.gate == "sigmoid" else "hard_sigmoid"

    @property
    def kernels(self) -> str:
        """Its kernel sizes in a word: ``k5``, or ``k3-5`` of a kind that has two."""
        starts = self.op in KINDS and KINDS[self.op].starts
        return f"k{self.start}-{self.kernel}" if starts else f"k{self.kernel}"

    @property
    def key(self) -> str:
        """The signature as one line, such as ``mbconv 16-48-24 k5 s2 relu se16 32x32``."""
        channels = [self.in_channels, self.mid_channels, self.out_channels]
        parts = [self.op, "-".join(str(c) for c in channels if c), self.kernels]
        parts += [
            f"s{self.stride}",
            self.padding * (self.padding != "symmetric"),
            f"g{self.groups}" * (self.groups > 1),
            self.act,
        ]
        gate = f"se{self.se}" + f"-{self.gate}" * (self.gate != "hard_sigmoid")
        parts += [gate * (self.se > 0), _KEYS[self.shortcut], "bias" * self.bias]
        parts += [f"h{self.heads}" * (self.heads > 0), f"r{self.reduction}" * (self.reduction > 1)]
        return " ".join(part for part in [*parts, f"{self.height}x{self.width}"] if part)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON; without what came later and is as it was before."""
        plain = asdict(self)
        for name, before in _LATER.items():
            if plain[name] == before:
                del plain[name]
        return plain


_KEEPING, _POOLING = ("pool", "maxpool", "avgpool", "add"), ("maxpool", "avgpool")
_LATER = {
    "padding": "symmetric",
    "start": 0,
    "gate": "hard_sigmoid",
    "heads": 0,
    "reduction": 1,
}
_SIZES = tuple(field.name for field in fields(Operator) if field.type is int)
_sizes_of = attrgetter(*_SIZES)


def total_macs(operators: Sequence[Operator]) -> int:
    """Multiply-adds of a network for one image."""
    return sum(operator.macs for operator in operators)


def total_params(operators: Sequence[Operator]) -> int:
    """Learned values of a network."""
    return sum(operator.params for operator in operators)
