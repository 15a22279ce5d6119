"""What may be chosen: a search space as a frozen value."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from supernet.errors import ConfigError
from supernet.space._choices import choice_problems
from supernet.space.cells import Cells
from supernet.space.operator import Activation
from supernet.space.stage import Stage

__all__ = ["Head", "KernelTransform", "Space", "Stem"]

KernelTransform: TypeAlias = Literal["learned", "crop"]

_MAX_BLOCKS = 128


_LATER: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("stem", "residual"), True),
    (("head", "features_bias"), False),
    (("head", "features_norm"), False),
    (("stages", "start"), (0,)),
    (("stages", "gate"), "hard_sigmoid"),
    (("stages", "heads"), (0,)),
    (("stages", "key_size"), (0,)),
    (("stages", "reduction"), 1),
    (("padding",), "symmetric"),
    (("stem", "valid"), False),
    (("head", "before"), "none"),
    (("cells",), None),
)
"""Keys that came after files with hashes did: as they were before, they do not count."""


def _holders(content: Any, parts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What has a key of `_LATER`; of stages each of them."""
    if isinstance(content, list | tuple):
        for item in content:
            yield from _holders(item, parts)
    elif parts:
        yield from _holders(content[parts[0]], parts[1:])
    else:
        yield content


def _floats(value: Any) -> Any:
    """Numbers as floats all the way down, so that 6 and 6.0 are the same choice."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_floats(item) for item in value]
    return value if isinstance(value, bool | str) else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolutions: each with batch norm and activation."""

    width: tuple[int, ...]
    """Choices of output channels of the first convolution."""
    kernel: int = 3
    """Kernel size, odd."""
    stride: int = 2
    """1 or 2."""
    act: Activation = "relu"
    """Activation after the batch norm."""
    depth: tuple[int, ...] = (0,)
    """Choices of the number of residual convolutions of the same width that follow."""
    out: tuple[int, ...] = ()
    """Choices of output channels of one more convolution; empty for none."""
    maxpool: bool = False
    """Whether a 3x3 max pooling of stride 2 ends the stem."""
    valid: bool = False
    """Whether the first convolution has no zeros around what it reads, so that a row and a column
    less are left, as in NASNet for large images."""
    residual: bool = True
    """Whether the `depth` convolutions add their input; in ResNet-D (arXiv:1812.01187) and
    timm they do not, in Once-for-All they do."""

    def __post_init__(self) -> None:
        problems = choice_problems("width", self.width, 1, 4096)
        problems += choice_problems("kernel", [self.kernel], 1, 15, odd=True)
        problems += choice_problems("stride", [self.stride], 1, 4)
        problems += choice_problems("depth", self.depth, 0, 8)
        problems += choice_problems("out", self.out, 1, 4096) if self.out else []
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """After the last stage: 1x1 convolution, global pooling, linear layers."""

    width: int = 0
    """Channels of the 1x1 convolution before the pooling; 0 for none."""
    expand: float = 0.0
    """The same as a multiple of the last stage's width; 0 where `width` says it."""
    features: tuple[int, ...] = ()
    """Choices of outputs of a linear layer between pooling and classifier; empty for
    none."""
    features_bias: bool = False
    """Whether that linear layer has a bias, as in torchvision's and timm's MobileNetV3."""
    features_norm: bool = False
    """Whether batch norm follows that layer, which is then a 1x1 convolution of the pooled
    channels, as in MobileNetV4."""
    act: Activation = "relu"
    """Activation of both."""
    before: Activation = "none"
    """Activation before the pooling, of what the last stage or cell writes."""
    dropout: float = 0.0
    """Dropout before the classifier while training the largest subnet."""

    def __post_init__(self) -> None:
        problems = choice_problems("width", [self.width], 0, 16384)
        problems += choice_problems("features", self.features, 1, 16384) if self.features else []
        if not 0 <= self.expand <= 16:
            problems.append(f"expand: must be from 0 to 16, found {self.expand}")
        if (self.features_bias or self.features_norm) and not self.features:
            name = "features_bias" if self.features_bias else "features_norm"
            problems.append(f"{name}: needs features")
        if self.features_bias and self.features_norm:
            problems.append("features_bias and features_norm: batch norm has a bias; give one")
        if self.width and self.expand:
            problems.append("width and expand: give one of them")
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
    stages: tuple[Stage, ...] = ()
    """The stages, in order; none where there are `cells`."""
    cells: Cells | None = None
    """The cells that stand in the place of stages."""
    head: Head
    """What follows the last stage or cell."""
    kernel_transform: KernelTransform = "learned"
    """How a smaller kernel comes from the next larger one: its centre times a learned
    matrix (Once-for-All), or its centre alone (``crop``)."""
    bn_momentum: float = 0.1
    """Share of a new batch in the running statistics of batch norm."""
    bn_eps: float = 1e-5
    """Added to the variance in batch norm."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Zeros around what a convolution with a stride reads: ``symmetric``, kernel // 2 on each
    side; ``same``, as TensorFlow pads: where the size is even, one more below and right than
    above and left."""
    in_channels: int = 3
    """Channels of an image: 3 colour, 1 grey. The data set decides; not in the hash."""
    num_classes: int = 1000
    """Outputs of the classifier. The data set decides; not in the hash."""

    def __post_init__(self) -> None:
        problems = choice_problems("resolutions", self.resolutions, 8, 4096)
        problems += choice_problems("in_channels", [self.in_channels], 1, 64)
        problems += choice_problems("num_classes", [self.num_classes], 2, 65536)
        if not self.name.replace("_", "").replace("-", "").replace(".", "").isalnum():
            problems.append(f"name: must be letters, digits, '_', '-' or '.', found {self.name!r}")
        blocks = sum(stage.max_depth for stage in self.stages)
        if self.cells is None and not 1 <= blocks <= _MAX_BLOCKS:
            problems.append(f"stages: need 1 to {_MAX_BLOCKS} blocks in all")
        if self.stem.valid and self.resolutions and self.resolutions[0] < self.stem.kernel:
            problems.append(
                f"stem.valid: a kernel of {self.stem.kernel} finds no window in "
                f"{self.resolutions[0]} px"
            )
        problems += self._unfit_cells()
        if not 0 < self.bn_momentum <= 1:
            problems.append(f"bn_momentum: must be above 0 and at most 1, found {self.bn_momentum}")
        if not 0 < self.bn_eps < 1:
            problems.append(f"bn_eps: must be between 0 and 1, found {self.bn_eps}")
        before = self.stem.out or self.stem.width
        for number, stage in enumerate(self.stages, start=1):
            if 0 in stage.depth and not (len(before) == 1 and before == stage.width):
                problems.append(
                    f"stage {number}: depth 0 needs the one width of what is before it, "
                    f"{list(before)}, found {list(stage.width)}"
                )
            before = stage.width
        if problems:
            raise ConfigError(problems)

    def _unfit_cells(self) -> list[str]:
        """What a space of cells cannot have."""
        if self.cells is None:
            return []
        problems, stem, head = [], self.stem, self.head
        if self.stages:
            problems.append("cells: stand in the place of stages; give one of both")
        if len(stem.width) > 1 or any(stem.depth) or stem.out or stem.maxpool:
            problems.append("stem: before cells it is one convolution of one width")
        if head.width or head.expand or head.features:
            problems.append("head: after cells it has no width, expand and features")
        return problems

    @property
    def hash(self) -> str:
        """12 hex digits over all choices; name, text and data set do not count."""
        content = asdict(self)
        for key in ("name", "about", "in_channels", "num_classes"):
            del content[key]
        for (*parts, key), usual in _LATER:
            for holder in _holders(content, parts):
                if holder[key] == usual:
                    del holder[key]
        return hashlib.sha256(json.dumps(_floats(content), sort_keys=True).encode()).hexdigest()[
            :12
        ]
