"""What may be chosen: a search space as a frozen value."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from supernet.errors import ConfigError
from supernet.space.operators import Activation

__all__ = ["Head", "Space", "Stage", "Stem"]

_MAX_CHOICES = 64
_MAX_BLOCKS = 64


def _choice_problems(
    name: str, values: Sequence[float], low: float, high: float, *, odd: bool = False
) -> list[str]:
    if not 1 <= len(values) <= _MAX_CHOICES:
        return [f"{name}: needs 1 to {_MAX_CHOICES} choices, found {len(values)}"]
    problems = []
    if list(values) != sorted(set(values)):
        problems.append(f"{name}: choices must ascend without repeats, found {list(values)}")
    wrong = [value for value in values if not low <= value <= high or (odd and value % 2 == 0)]
    if wrong:
        rule = f"{'odd and ' if odd else ''}from {low} to {high}"
        problems.append(f"{name}: choices must be {rule}, found {wrong}")
    return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolution: kernel, batch norm, activation."""

    width: tuple[int, ...]
    """Choices of output channels."""
    kernel: int = 3
    """Kernel size, odd."""
    stride: int = 2
    """1 or 2."""
    act: Activation = "relu"
    """Activation after the batch norm."""

    def __post_init__(self) -> None:
        problems = _choice_problems("width", self.width, 1, 4096)
        problems += _choice_problems("kernel", [self.kernel], 1, 15, odd=True)
        problems += _choice_problems("stride", [self.stride], 1, 4)
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Blocks of one output width; the first of them has the stride."""

    block: Literal["mbconv"] = "mbconv"
    """Kind of every block: inverted bottleneck (MobileNetV2, arXiv:1801.04381)."""
    width: tuple[int, ...]
    """Choices of output channels, one for the whole stage."""
    depth: tuple[int, ...]
    """Choices of the number of blocks; the first ones of the stage are kept."""
    kernel: tuple[int, ...] = (3,)
    """Choices of the depthwise kernel size, one per block."""
    expand: tuple[float, ...] = (6,)
    """Choices of middle channels / input channels, one per block; 1 means no
    expansion convolution and cannot be mixed with other ratios."""
    stride: int = 1
    """Stride of the first block."""
    act: Activation = "relu"
    """Activation inside the blocks."""
    se: float = 0.0
    """Squeeze-excite: hidden channels / middle channels; 0 for none."""
    shortcut: bool = True
    """Whether the first block of the stage adds its input where shapes allow it;
    the others always do."""

    def __post_init__(self) -> None:
        problems = _choice_problems("width", self.width, 1, 4096)
        problems += _choice_problems("depth", self.depth, 1, 32)
        problems += _choice_problems("kernel", self.kernel, 1, 15, odd=True)
        problems += _choice_problems("expand", self.expand, 0.1, 16)
        problems += _choice_problems("stride", [self.stride], 1, 4)
        if not 0 <= self.se <= 1:
            problems.append(f"se: must be from 0 to 1, found {self.se}")
        if 1 in self.expand and len(self.expand) > 1:
            problems.append(f"expand: 1 cannot be mixed with others, found {list(self.expand)}")
        if problems:
            raise ConfigError(problems)

    @property
    def max_depth(self) -> int:
        """Blocks of the deepest choice."""
        return self.depth[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """After the last stage: 1x1 convolution, global pooling, linear layers."""

    width: int = 0
    """Channels of the 1x1 convolution before the pooling; 0 for none."""
    features: int = 0
    """Outputs of a linear layer between pooling and classifier; 0 for none."""
    act: Activation = "relu"
    """Activation of both."""
    dropout: float = 0.0
    """Dropout before the classifier while training the largest subnet."""

    def __post_init__(self) -> None:
        problems = _choice_problems("width", [self.width], 0, 16384)
        problems += _choice_problems("features", [self.features], 0, 16384)
        if not 0 <= self.dropout < 1:
            problems.append(f"dropout: must be from 0 to below 1, found {self.dropout}")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Everything that may be chosen; read from YAML by `load_space`."""

    name: str
    """Short name, as given to ``--space``."""
    about: str = ""
    """One line for a reader, with the source of the space."""
    resolutions: tuple[int, ...]
    """Choices of the input size in pixels (square)."""
    stem: Stem
    """The first convolution."""
    stages: tuple[Stage, ...]
    """The stages, in order."""
    head: Head
    """What follows the last stage."""
    bn_momentum: float = 0.1
    """Share of a new batch in the running statistics of batch norm."""
    bn_eps: float = 1e-5
    """Added to the variance in batch norm."""
    in_channels: int = 3
    """Channels of an image: 3 colour, 1 grey. The data set decides; not in the hash."""
    num_classes: int = 1000
    """Outputs of the classifier. The data set decides; not in the hash."""

    def __post_init__(self) -> None:
        problems = _choice_problems("resolutions", self.resolutions, 8, 4096)
        problems += _choice_problems("in_channels", [self.in_channels], 1, 64)
        problems += _choice_problems("num_classes", [self.num_classes], 2, 65536)
        if not self.name.replace("_", "").replace("-", "").replace(".", "").isalnum():
            problems.append(f"name: must be letters, digits, '_', '-' or '.', found {self.name!r}")
        if not 1 <= sum(stage.max_depth for stage in self.stages) <= _MAX_BLOCKS:
            problems.append(f"stages: need 1 to {_MAX_BLOCKS} blocks in all")
        if not 0 < self.bn_momentum <= 1:
            problems.append(f"bn_momentum: must be above 0 and at most 1, found {self.bn_momentum}")
        if not 0 < self.bn_eps < 1:
            problems.append(f"bn_eps: must be between 0 and 1, found {self.bn_eps}")
        if problems:
            raise ConfigError(problems)

    @property
    def hash(self) -> str:
        """12 hex digits over all choices; name, text and data set do not count."""
        content = asdict(self)
        for key in ("name", "about", "in_channels", "num_classes"):
            del content[key]
        for stage in content["stages"]:  # 6 and 6.0 are the same choice
            stage["expand"] = [float(ratio) for ratio in stage["expand"]]
            stage["se"] = float(stage["se"])
        for key in ("bn_momentum", "bn_eps"):
            content[key] = float(content[key])
        content["head"]["dropout"] = float(content["head"]["dropout"])
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
