"""The architecture of a subnet of MobileNetV3 from timm's blocks."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from supernet.space import Operator

__all__ = ["timm_network"]


def timm_network(operators: Sequence[Operator]) -> nn.Module:
    """Timm's own network with these operators, random weights, in eval mode.

    Args:
        operators: of a subnet of the space ``mobilenet_v3``.
    """
    from timm.models._efficientnet_builder import decode_arch_def
    from timm.models.mobilenetv3 import MobileNetV3

    stem, *blocks, last, _, features, _ = operators
    stages = [[_block(operator)] for operator in blocks]
    stages.append([f"cn_r1_k1_s1_c{last.out_channels}"])
    network: nn.Module = MobileNetV3(
        block_args=decode_arch_def(stages),  # type: ignore[no-untyped-call]  # timm has no types there
        stem_size=stem.out_channels,
        fix_stem=True,
        num_features=features.out_channels,
        head_bias=False,
        act_layer=nn.Hardswish,
        norm_layer=nn.BatchNorm2d,
        se_layer=_gate(),
        round_chs_fn=round,
    )
    return network.eval()


def _block(operator: Operator) -> str:
    """A block in timm's words."""
    kernel, stride, width = operator.kernel, operator.stride, operator.out_channels
    act = "_nre" if operator.act == "relu" else ""
    if operator.op == "dsconv":
        return f"ds_r1_k{kernel}_s{stride}_e1_c{width}{act}"
    expand = operator.mid_channels / operator.in_channels
    gate = f"_se{operator.se / operator.mid_channels}" if operator.se else ""
    return f"ir_r1_k{kernel}_s{stride}_e{expand}_c{width}{gate}{act}"


def _gate() -> Any:
    from timm.models._efficientnet_blocks import SqueezeExcite

    return partial(
        SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU, rd_round_fn=round
    )
