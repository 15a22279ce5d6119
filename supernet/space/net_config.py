"""Networks published by Once-for-All and ProxylessNAS: ``net.config`` to operators.

The files are JSON and hold no weights. Both generations of class names are read, of
MobileNetV3, ProxylessNAS and ResNet-D networks.
"""

import itertools
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from supernet.errors import FileFormatError
from supernet.space.operator import Activation, Operator, Shortcut, round_channels

__all__ = ["read_bn_eps", "read_net_config", "read_run_config"]

_T = TypeVar("_T")

_ACTS: dict[str | None, Activation] = {
    "h_swish": "hard_swish",
    "relu": "relu",
    "relu6": "relu6",
    "swish": "swish",
    None: "none",
}
_MAX_BYTES = 4 << 20


class _Conv(msgspec.Struct):
    in_channels: int
    out_channels: int
    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    has_shuffle: bool = False
    use_bn: bool = True
    use_se: bool = False
    act_func: str | None = "relu6"


class _Linear(msgspec.Struct):
    in_features: int
    out_features: int
    bias: bool = True


class _MBConv(msgspec.Struct):
    name: Literal["MBConvLayer", "MBInvertedConvLayer", "ZeroLayer"]
    stride: int = 1
    in_channels: int = 0
    out_channels: int = 0
    kernel_size: int = 3
    expand_ratio: float = 6
    mid_channels: int | None = None
    act_func: str | None = "relu6"
    use_se: bool = False
    groups: int | None = None


class _Shortcut(msgspec.Struct):
    name: Literal["IdentityLayer"]


class _Block(msgspec.Struct):
    shortcut: _Shortcut | None
    conv: _MBConv | None = None
    mobile_inverted_conv: _MBConv | None = None


class _Bottleneck(msgspec.Struct):
    in_channels: int
    out_channels: int
    kernel_size: int = 3
    stride: int = 1
    expand_ratio: float = 0.25
    mid_channels: int | None = None
    act_func: str | None = "relu"
    groups: int = 1
    downsample_mode: str = "avgpool_conv"


class _StemConv(_Conv, tag_field="name", tag="ConvLayer"):
    """The first and the last layer of a ResNet-D's stem."""


class _Residual(msgspec.Struct, tag_field="name", tag="ResidualBlock"):
    conv: _Conv


class _MobileNet(msgspec.Struct):
    first_conv: _Conv
    blocks: list[_Block]
    feature_mix_layer: _Conv
    classifier: _Linear
    final_expand_layer: _Conv | None = None


class _ResNet(msgspec.Struct):
    input_stem: list[_StemConv | _Residual]
    blocks: list[_Bottleneck]
    classifier: _Linear


class _Name(msgspec.Struct):
    name: Literal["MobileNetV3", "MobileNetV3Large", "ProxylessNASNets", "ResNets"]


class _BatchNorm(msgspec.Struct):
    eps: float = 1e-5


class _WithBatchNorm(msgspec.Struct):
    bn: _BatchNorm = msgspec.field(default_factory=_BatchNorm)


class _RunConfig(msgspec.Struct):
    image_size: int


_SIZES = 8, 4096


def read_net_config(path: Path, resolution: int) -> tuple[Operator, ...]:
    """The operators of a published network at an input size, in network order.

    Blocks that the search had removed (``ZeroLayer``) are left out.

    Args:
        path: of the ``net.config``.
        resolution: pixels, as in the ``run.config`` beside it.

    Raises:
        FileFormatError: not such a file, or a network that this library does not know.
    """
    if not _SIZES[0] <= resolution <= _SIZES[1]:
        raise FileFormatError(
            f"{path}: image_size: must be from {_SIZES[0]} to {_SIZES[1]}, found {resolution}"
        )
    name = _decode(path, _Name).name
    try:
        if name == "ResNets":
            found = _resnet(_decode(path, _ResNet), resolution)
        else:
            found = _mobilenet(_decode(path, _MobileNet), resolution)
    except FileFormatError:
        raise
    except (ArithmeticError, IndexError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FileFormatError(f"{path}: not a network of operators known here: {reason}") from None
    return tuple(found)


def read_bn_eps(path: Path) -> float:
    """What the batch norms of a ``net.config`` add to the variance.

    Raises:
        FileFormatError: not such a file.
    """
    return _decode(path, _WithBatchNorm).bn.eps


def read_run_config(path: Path) -> int:
    """The input size in pixels that a ``run.config`` says.

    Raises:
        FileFormatError: not such a file.
    """
    return _decode(path, _RunConfig).image_size


def _decode(path: Path, kind: type[_T]) -> _T:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than {_MAX_BYTES} bytes")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:300]
        if isinstance(error, msgspec.DecodeError) and not isinstance(
            error, msgspec.ValidationError
        ):
            reason = f"not valid JSON: {reason}"
        raise FileFormatError(f"{path}: not a published network: {reason}") from None


def _mobilenet(net: _MobileNet, size: int) -> list[Operator]:
    found = [_conv(net.first_conv, size)]
    size = found[-1].out_height
    for block in net.blocks:
        layer = block.conv or block.mobile_inverted_conv
        if layer is not None and layer.name != "ZeroLayer":
            found.append(_mbconv(layer, shortcut=block.shortcut is not None, size=size))
            size = found[-1].out_height
    mix = net.feature_mix_layer
    if net.final_expand_layer is not None:  # MobileNetV3: mixes features after the pooling
        found += [_conv(net.final_expand_layer, size), _pool(mix.in_channels, size)]
        _check_plain(mix, norm=False)
        act = _act(mix)
        found.append(
            Operator(
                op="linear", in_channels=mix.in_channels, out_channels=mix.out_channels, act=act
            )
        )
    else:
        found += [_conv(mix, size), _pool(mix.out_channels, size)]
    return _following([*found, _linear(net.classifier)])


def _resnet(net: _ResNet, size: int) -> list[Operator]:
    found = []
    for layer in net.input_stem:
        residual = isinstance(layer, _Residual)
        conv = layer.conv if isinstance(layer, _Residual) else layer
        found.append(_conv(conv, size, shortcut="identity" if residual else "none"))
        size = found[-1].out_height
    channels = found[-1].out_channels
    found.append(
        Operator(
            op="maxpool",
            in_channels=channels,
            out_channels=channels,
            kernel=3,
            stride=2,
            height=size,
            width=size,
        )
    )
    for block in net.blocks:
        found.append(_bottleneck(block, found[-1].out_height))
    found.append(_pool(found[-1].out_channels, found[-1].out_height))
    return _following([*found, _linear(net.classifier)])


def _following(found: list[Operator]) -> list[Operator]:
    """`found`, if every operator reads what the one before it writes."""
    for before, after in itertools.pairwise(found):
        if before.out_channels != after.in_channels:
            raise ValueError(f"{after.key!r} cannot follow {before.key!r}")
    return found


def _linear(layer: _Linear) -> Operator:
    return Operator(
        op="linear",
        in_channels=layer.in_features,
        out_channels=layer.out_features,
        bias=layer.bias,
    )


def _bottleneck(layer: _Bottleneck, size: int) -> Operator:
    if layer.downsample_mode != "avgpool_conv" and layer.stride > 1:
        raise ValueError(f"downsample_mode: must be avgpool_conv, found {layer.downsample_mode}")
    plain = layer.stride == 1 and layer.in_channels == layer.out_channels
    mid = layer.mid_channels or round(layer.out_channels * layer.expand_ratio)
    return Operator(
        op="bottleneck",
        in_channels=layer.in_channels,
        mid_channels=round_channels(mid),
        out_channels=layer.out_channels,
        kernel=layer.kernel_size,
        stride=layer.stride,
        groups=layer.groups,
        act=_act(layer),
        shortcut="identity" if plain else "project_norm",
        height=size,
        width=size,
    )


def _act(layer: _Conv | _MBConv | _Bottleneck) -> Activation:
    if layer.act_func not in _ACTS:
        known = ", ".join(filter(None, _ACTS))
        raise ValueError(f"act_func: must be one of {known}, found {str(layer.act_func)[:40]!r}")
    return _ACTS[layer.act_func]


def _check_plain(layer: _Conv, *, norm: bool = True) -> None:
    """Refuse what no operator here has, lest it is left out without a word."""
    other = {"dilation": 1, "groups": 1, "has_shuffle": False, "use_se": False, "use_bn": norm}
    for name, expected in other.items():
        if getattr(layer, name) != expected:
            raise ValueError(f"{name}: must be {expected}, found {getattr(layer, name)}")


def _conv(layer: _Conv, size: int, *, shortcut: Shortcut = "none") -> Operator:
    _check_plain(layer)
    return Operator(
        op="conv",
        in_channels=layer.in_channels,
        out_channels=layer.out_channels,
        kernel=layer.kernel_size,
        stride=layer.stride,
        act=_act(layer),
        shortcut=shortcut,
        height=size,
        width=size,
    )


def _pool(channels: int, size: int) -> Operator:
    return Operator(op="pool", in_channels=channels, out_channels=channels, height=size, width=size)


def _mbconv(layer: _MBConv, *, shortcut: bool, size: int) -> Operator:
    mid = layer.mid_channels or round(layer.in_channels * layer.expand_ratio)
    if layer.groups not in (None, mid):
        raise ValueError(f"groups: must be those of a depthwise convolution, found {layer.groups}")
    return Operator(
        op="dsconv" if layer.expand_ratio == 1 else "mbconv",
        in_channels=layer.in_channels,
        mid_channels=mid,
        out_channels=layer.out_channels,
        kernel=layer.kernel_size,
        stride=layer.stride,
        act=_act(layer),
        se=round_channels(mid // 4) if layer.use_se else 0,
        shortcut="identity" if shortcut else "none",
        height=size,
        width=size,
    )
