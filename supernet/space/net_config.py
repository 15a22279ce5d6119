"""Networks published by Once-for-All and ProxylessNAS: ``net.config`` to operators.

The files are JSON and hold no weights. Both generations of class names are read.
"""

from pathlib import Path
from typing import Literal

import msgspec

from supernet.errors import ConfigError, FileFormatError
from supernet.space.operators import Activation, Operator, round_channels

__all__ = ["read_net_config"]

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
    use_bn: bool = True
    act_func: str | None = "relu6"


class _Linear(msgspec.Struct):
    in_features: int
    out_features: int
    bias: bool = True


class _MBConv(msgspec.Struct):
    name: Literal["MBConvLayer", "MBInvertedConvLayer", "ZeroLayer"]
    stride: int
    in_channels: int = 0
    out_channels: int = 0
    kernel_size: int = 3
    expand_ratio: float = 6
    mid_channels: int | None = None
    act_func: str | None = "relu6"
    use_se: bool = False


class _Shortcut(msgspec.Struct):
    name: Literal["IdentityLayer"]


class _Block(msgspec.Struct):
    shortcut: _Shortcut | None
    conv: _MBConv | None = None
    mobile_inverted_conv: _MBConv | None = None


class _Net(msgspec.Struct):
    name: Literal["MobileNetV3", "MobileNetV3Large", "ProxylessNASNets"]
    first_conv: _Conv
    blocks: list[_Block]
    feature_mix_layer: _Conv
    classifier: _Linear
    final_expand_layer: _Conv | None = None


def read_net_config(path: Path, resolution: int) -> tuple[Operator, ...]:
    """The operators of a published network at an input size, in network order.

    Blocks that the search had removed (``ZeroLayer``) are left out.

    Args:
        path: of the ``net.config``.
        resolution: pixels, as in the ``run.config`` beside it.

    Raises:
        FileFormatError: not such a file, or a network that this library does not know.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than {_MAX_BYTES} bytes")
        net = msgspec.json.decode(path.read_bytes(), type=_Net)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise FileFormatError(f"{path}: not a published network: {error}") from None
    try:
        return tuple(_operators(net, resolution))
    except (ConfigError, KeyError) as error:
        raise FileFormatError(f"{path}: not a network of operators known here: {error}") from None


def _operators(net: _Net, size: int) -> list[Operator]:
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
        act = _ACTS[mix.act_func]
        found.append(
            Operator(
                op="linear", in_channels=mix.in_channels, out_channels=mix.out_channels, act=act
            )
        )
    else:
        found += [_conv(mix, size), _pool(mix.out_channels, size)]
    last = net.classifier
    found.append(
        Operator(
            op="linear",
            in_channels=last.in_features,
            out_channels=last.out_features,
            bias=last.bias,
        )
    )
    return found


def _conv(layer: _Conv, size: int) -> Operator:
    return Operator(
        op="conv",
        in_channels=layer.in_channels,
        out_channels=layer.out_channels,
        kernel=layer.kernel_size,
        stride=layer.stride,
        act=_ACTS[layer.act_func],
        height=size,
        width=size,
    )


def _pool(channels: int, size: int) -> Operator:
    return Operator(op="pool", in_channels=channels, out_channels=channels, height=size, width=size)


def _mbconv(layer: _MBConv, *, shortcut: bool, size: int) -> Operator:
    mid = layer.mid_channels or round(layer.in_channels * layer.expand_ratio)
    return Operator(
        op="dsconv" if layer.expand_ratio == 1 else "mbconv",
        in_channels=layer.in_channels,
        mid_channels=mid,
        out_channels=layer.out_channels,
        kernel=layer.kernel_size,
        stride=layer.stride,
        act=_ACTS[layer.act_func],
        se=round_channels(mid // 4) if layer.use_se else 0,
        shortcut="identity" if shortcut else "none",
        height=size,
        width=size,
    )
