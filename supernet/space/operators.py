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
    "round_channels",
    "total_macs",
    "total_params",
]

OperatorKind = Literal["conv", "mbconv", "dsconv", "pool", "linear"]
Activation = Literal["none", "relu", "relu6", "hard_swish", "swish"]

_MAX_SIZE = 1 << 16


def round_channels(value: float, divisor: int = 8) -> int:
    """`value` to the nearest multiple of `divisor`, never below 90 % of it.

    The rule of MobileNetV3 and Once-for-All.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator with fixed shapes; hashable, the key of every latency table.

    Kinds: ``conv`` (convolution, batch norm, activation); ``mbconv`` (1x1
    expansion, depthwise, squeeze-excite, 1x1 projection); ``dsconv`` (the same
    without the expansion); ``pool`` (global average); ``linear``.
    """

    op: OperatorKind
    in_channels: int
    """Channels of the input."""
    mid_channels: int = 0
    """Channels of the depthwise convolution; 0 where there is none."""
    out_channels: int
    """Channels of the output."""
    kernel: int = 1
    """Kernel size of the (depthwise) convolution, odd; padding is kernel // 2."""
    stride: int = 1
    """Stride of the (depthwise) convolution."""
    act: Activation = "none"
    """Activation inside the operator; a projection has none."""
    se: int = 0
    """Hidden channels of the squeeze-excite part; 0 for none."""
    shortcut: bool = False
    """Whether the input is added to the output."""
    bias: bool = False
    """Whether a linear layer has a bias."""
    height: int = 1
    """Rows of the input."""
    width: int = 1
    """Columns of the input."""

    def __post_init__(self) -> None:
        problems = [
            f"{field.name}: must be from 0 to {_MAX_SIZE}, found {getattr(self, field.name)}"
            for field in fields(self)
            if field.type is int and not 0 <= getattr(self, field.name) <= _MAX_SIZE
        ]
        if not problems and min(self.in_channels, self.out_channels, self.stride) < 1:
            problems.append("in_channels, out_channels and stride must be at least 1")
        if not problems and (self.kernel % 2 == 0 or self.height < 1 or self.width < 1):
            problems.append("kernel must be odd, height and width at least 1")
        separable = self.op in ("mbconv", "dsconv")
        if separable != (self.mid_channels > 0):
            problems.append(f"mid_channels: {self.mid_channels} does not fit op {self.op!r}")
        if self.op == "dsconv" and self.mid_channels != self.in_channels:
            problems.append("mid_channels: must equal in_channels for op 'dsconv'")
        if self.shortcut and (self.stride != 1 or self.in_channels != self.out_channels):
            problems.append("shortcut: needs stride 1 and in_channels = out_channels")
        if problems:
            raise ConfigError(problems)

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return 1 if self.op == "pool" else (self.height - 1) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return 1 if self.op == "pool" else (self.width - 1) // self.stride + 1

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        area, out_area = self.height * self.width, self.out_height * self.out_width
        if self.op == "conv":
            return self.kernel**2 * self.in_channels * self.out_channels * out_area
        if self.op == "linear":
            return self.in_channels * self.out_channels
        if self.op == "pool":
            return 0
        expand = self.in_channels * self.mid_channels * area if self.op == "mbconv" else 0
        depthwise = self.kernel**2 * self.mid_channels * out_area
        squeeze_excite = 2 * self.mid_channels * self.se
        project = self.mid_channels * self.out_channels * out_area
        return expand + depthwise + squeeze_excite + project

    @property
    def params(self) -> int:
        """Learned values: weights, biases and the two of each batch norm channel."""
        if self.op == "conv":
            return self.kernel**2 * self.in_channels * self.out_channels + 2 * self.out_channels
        if self.op == "linear":
            return self.in_channels * self.out_channels + self.bias * self.out_channels
        if self.op == "pool":
            return 0
        expand = (self.in_channels + 2) * self.mid_channels if self.op == "mbconv" else 0
        depthwise = (self.kernel**2 + 2) * self.mid_channels
        squeeze_excite = 2 * self.mid_channels * self.se + self.se + self.mid_channels
        project = (self.mid_channels + 2) * self.out_channels
        return expand + depthwise + squeeze_excite * (self.se > 0) + project

    @property
    def key(self) -> str:
        """The signature as one line, such as ``mbconv 16-48-24 k5 s2 relu se16 32x32``."""
        channels = [self.in_channels, self.mid_channels, self.out_channels]
        parts = [self.op, "-".join(str(c) for c in channels if c), f"k{self.kernel}"]
        parts += [f"s{self.stride}", self.act, f"se{self.se}" * (self.se > 0)]
        parts += ["shortcut" * self.shortcut, "bias" * self.bias, f"{self.height}x{self.width}"]
        return " ".join(part for part in parts if part)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return asdict(self)


def total_macs(operators: Sequence[Operator]) -> int:
    """Multiply-adds of a network for one image."""
    return sum(operator.macs for operator in operators)


def total_params(operators: Sequence[Operator]) -> int:
    """Learned values of a network."""
    return sum(operator.params for operator in operators)
