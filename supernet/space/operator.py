"""Operators: what a subnet is made of, once every choice is fixed.

An operator knows its shapes and nothing of any space, so one measurement, one
cost formula and one torch module serve every space that uses the same operator.

MACs are the multiply-adds of convolutions and linear layers; normalisation,
activation and pooling are not counted (the convention of Once-for-All and timm).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from supernet.errors import ConfigError

__all__ = [
    "Activation",
    "Operator",
    "OperatorKind",
    "Padding",
    "Shortcut",
    "round_channels",
    "same_pads",
    "total_macs",
    "total_params",
]

OperatorKind = Literal["conv", "mbconv", "dsconv", "bottleneck", "maxpool", "pool", "linear"]
Shortcut = Literal["none", "identity", "pool", "project", "project_norm"]
Activation = Literal["none", "relu", "relu6", "hard_swish", "swish"]
Padding = Literal["symmetric", "same"]

_MAX_SIZE = 1 << 16
_WITH_MIDDLE = ("mbconv", "dsconv", "bottleneck")
_WITH_GATE = ("conv", "mbconv", "dsconv")
_WITH_KERNEL = (*_WITH_MIDDLE, "conv")
_KEYS: dict[Shortcut, str] = {
    "none": "",
    "identity": "shortcut",
    "pool": "shortcut-pool",
    "project": "shortcut-project",
    "project_norm": "shortcut-project-norm",
}


def round_channels(value: float, divisor: int = 8) -> int:
    """`value` to the nearest multiple of `divisor`, never below 90 % of it.

    The rule of MobileNetV3 and Once-for-All.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `size` rows for ``ceil(size / stride)`` windows, as TensorFlow's.

    Where their number is odd, one more stands after: at stride 2 for all even sizes.
    """
    windows = (size - 1) // stride + 1
    total = max((windows - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator with fixed shapes; hashable, the key of every latency table.

    ============== ==========================================================
    ``conv``       convolution, batch norm, activation, squeeze-excite
    ``mbconv``     1x1 expansion, depthwise, squeeze-excite, 1x1 projection
                   (arXiv:1801.04381)
    ``dsconv``     the same without the expansion
    ``bottleneck`` 1x1 reduction, convolution, 1x1 expansion, activation after
                   the shortcut (ResNet, arXiv:1512.03385)
    ``maxpool``    maximum over kernel x kernel pixels
    ``pool``       global average
    ``linear``     linear layer, activation
    ============== ==========================================================
    """

    op: OperatorKind
    in_channels: int
    """Channels of the input."""
    mid_channels: int = 0
    """Channels of the middle (depthwise) convolution; 0 where there is none."""
    out_channels: int
    """Channels of the output."""
    kernel: int = 1
    """Kernel size of the (middle) convolution, odd."""
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
    with batch norm (ResNet-D, arXiv:1812.01187)."""
    bias: bool = False
    """Whether a linear layer has a bias."""
    height: int = 1
    """Rows of the input."""
    width: int = 1
    """Columns of the input."""
    padding: Padding = "symmetric"
    """Zeros around what the (middle) convolution reads: ``symmetric``, kernel // 2 on each
    side; ``same``, those of `same_pads`, which for stride 1 are no others."""

    def __post_init__(self) -> None:
        problems = [
            f"{name}: must be from 0 to {_MAX_SIZE}, found {getattr(self, name)}"
            for name in _SIZES
            if not 0 <= getattr(self, name) <= _MAX_SIZE
        ]
        if not problems and min(self.in_channels, self.out_channels, self.stride) < 1:
            problems.append("in_channels, out_channels and stride must be at least 1")
        if not problems and (self.kernel % 2 == 0 or self.height < 1 or self.width < 1):
            problems.append("kernel must be odd, height and width at least 1")
        problems += self._unfit()
        if problems:
            raise ConfigError(problems)

    def _unfit(self) -> list[str]:
        """Fields that do not fit the kind of operator or each other."""
        op, mid, groups = self.op, self.mid_channels, self.groups
        problems = []
        if (op in _WITH_MIDDLE) != (mid > 0):
            problems.append(f"mid_channels: {mid} does not fit op {op!r}")
        if op == "dsconv" and mid != self.in_channels:
            problems.append("mid_channels: must equal in_channels for op 'dsconv'")
        if op in ("pool", "maxpool") and self.in_channels != self.out_channels:
            problems.append(f"out_channels: must equal in_channels for op {op!r}")
        if groups < 1 or (groups > 1 and op != "bottleneck"):
            problems.append(f"groups: {groups} does not fit op {op!r}")
        elif mid % groups:
            problems.append(f"groups: {groups} do not divide the {mid} middle channels")
        if self.se and op not in _WITH_GATE:
            problems.append(f"se: op {op!r} has no squeeze-excite")
        if self.padding == "same":
            if op not in _WITH_KERNEL:
                problems.append(f"padding: op {op!r} has none")
            elif 1 in (self.kernel, self.stride):
                problems.append("padding: same with kernel or stride 1 is symmetric")
        return problems + self._unfit_shortcut()

    def _unfit_shortcut(self) -> list[str]:
        same = self.in_channels == self.out_channels
        plain = same and self.stride == 1
        if self.shortcut == "none":
            return []
        if self.op not in (*_WITH_MIDDLE, "conv"):
            return [f"shortcut: op {self.op!r} has none"]
        if self.shortcut == "identity" and not plain:
            return ["shortcut: identity needs stride 1 and in_channels = out_channels"]
        if self.shortcut == "pool" and not same:
            return ["shortcut: pool needs in_channels = out_channels"]
        if self.shortcut == "project" and plain:
            return ["shortcut: project with stride 1 and the same channels is identity"]
        return []

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Zeros above, left of, below and right of what the (middle) convolution reads."""
        if self.padding == "symmetric":
            half = self.kernel // 2
            return half, half, half, half
        top, bottom = same_pads(self.height, self.kernel, self.stride)
        left, right = same_pads(self.width, self.kernel, self.stride)
        return top, left, bottom, right

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return 1 if self.op == "pool" else (self.height - 1) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return 1 if self.op == "pool" else (self.width - 1) // self.stride + 1

    @property
    def shortcut_convolves(self) -> bool:
        """Whether the shortcut holds a 1x1 convolution."""
        differ = self.in_channels != self.out_channels
        return self.shortcut == "project_norm" or (self.shortcut == "project" and differ)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        area, out_area = self.height * self.width, self.out_height * self.out_width
        before, mid, after = self.in_channels, self.mid_channels, self.out_channels
        if self.op in ("pool", "maxpool"):
            return 0
        if self.op == "linear":
            return before * after
        shortcut = before * after * out_area if self.shortcut_convolves else 0
        if self.op == "conv":
            squeeze_excite = 2 * after * self.se
            return self.kernel**2 * before * after * out_area + squeeze_excite + shortcut
        first = 0 if self.op == "dsconv" else before * mid * area
        per_output = mid // self.groups if self.op == "bottleneck" else 1
        middle = self.kernel**2 * per_output * mid * out_area
        return first + middle + 2 * mid * self.se + mid * after * out_area + shortcut

    @property
    def params(self) -> int:
        """Learned values: weights, biases and the two of each batch norm channel."""
        before, mid, after = self.in_channels, self.mid_channels, self.out_channels
        if self.op in ("pool", "maxpool"):
            return 0
        if self.op == "linear":
            return before * after + self.bias * after
        shortcut = before * after if self.shortcut_convolves else 0
        shortcut += 2 * after if self.shortcut == "project_norm" else 0
        gated = after if self.op == "conv" else mid
        squeeze_excite = (2 * gated * self.se + self.se + gated) * (self.se > 0)
        if self.op == "conv":
            return (self.kernel**2 * before + 2) * after + squeeze_excite + shortcut
        first = 0 if self.op == "dsconv" else (before + 2) * mid
        per_output = mid // self.groups if self.op == "bottleneck" else 1
        middle = (self.kernel**2 * per_output + 2) * mid
        return first + middle + squeeze_excite + (mid + 2) * after + shortcut

    @property
    def key(self) -> str:
        """The signature as one line, such as ``mbconv 16-48-24 k5 s2 relu se16 32x32``."""
        channels = [self.in_channels, self.mid_channels, self.out_channels]
        parts = [self.op, "-".join(str(c) for c in channels if c), f"k{self.kernel}"]
        parts += [
            f"s{self.stride}",
            "same" * (self.padding == "same"),
            f"g{self.groups}" * (self.groups > 1),
            self.act,
        ]
        parts += [f"se{self.se}" * (self.se > 0), _KEYS[self.shortcut], "bias" * self.bias]
        return " ".join(part for part in [*parts, f"{self.height}x{self.width}"] if part)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON; without a padding that is symmetric."""
        plain = asdict(self)
        if self.padding == "symmetric":  # as before there was another
            del plain["padding"]
        return plain


_SIZES = tuple(field.name for field in fields(Operator) if field.type is int)


def total_macs(operators: Sequence[Operator]) -> int:
    """Multiply-adds of a network for one image."""
    return sum(operator.macs for operator in operators)


def total_params(operators: Sequence[Operator]) -> int:
    """Learned values of a network."""
    return sum(operator.params for operator in operators)
