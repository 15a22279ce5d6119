"""Every elastic block, activated as an operator, is the plain layer of that operator."""

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.elastic import (
    ElasticBlock,
    ElasticChain,
    ElasticConvBlock,
    ElasticLinear,
    ElasticSqueezeExcite,
    gate_activations,
    make_activation,
    ranked,
)
from supernet.models import Network
from supernet.space import Operator
from supernet.space.operator import Activation, Gate

LARGE = Operator(
    op="mbconv", in_channels=16, mid_channels=48, out_channels=16, kernel=5, se=16,
    act="hard_swish", shortcut="identity", height=6, width=6,
)  # fmt: skip
DS = replace(LARGE, op="dsconv", mid_channels=16)
CONV = replace(LARGE, op="conv", mid_channels=0, kernel=3, act="relu6")
STEM = replace(CONV, in_channels=3, stride=2, se=0, shortcut="none", height=9, width=9)
BOTTLENECK = replace(LARGE, op="bottleneck", se=0, act="relu", height=7, width=7)
GROUPED = replace(BOTTLENECK, groups=6)
UIB = replace(LARGE, op="uib", start=5, act="relu")
FUSED = replace(LARGE, op="fused", act="relu")
TWICE = replace(FUSED, op="fused_act")
BASIC = replace(BOTTLENECK, op="basic", kernel=3)
SCALED = replace(UIB, op="uib_scaled")
MQA = replace(
    LARGE, op="mqa", se=0, act="none", heads=4, mid_channels=32, kernel=3, reduction=2, height=7,
    width=6,
)  # fmt: skip
NARROW: dict[str, Any] = {"in_channels": 8, "out_channels": 8}
# operators that one block becomes in turn
FAMILIES: dict[str, list[Operator]] = {
    "inverted bottleneck": [
        LARGE,
        replace(LARGE, mid_channels=32, se=8),
        replace(LARGE, kernel=3, se=0),
        replace(LARGE, in_channels=8, shortcut="none"),
        replace(LARGE, out_channels=8, shortcut="none", kernel=3, mid_channels=24, se=8),
    ],
    "projecting shortcut": [
        replace(LARGE, in_channels=8, shortcut="project"),
        replace(LARGE, out_channels=8, shortcut="project"),
        LARGE,
    ],
    "projecting shortcut of stride 2": [
        replace(LARGE, in_channels=8, stride=2, shortcut="project"),
        replace(LARGE, stride=2, shortcut="project"),
        replace(LARGE, stride=2, shortcut="pool"),
    ],
    "without expansion": [DS, replace(DS, in_channels=8, mid_channels=8, shortcut="none")],
    "pooled shortcut": [replace(DS, shortcut="pool"), replace(DS, shortcut="none", se=0)],
    "convolution": [CONV, replace(CONV, kernel=5, se=0), replace(CONV, shortcut="pool", **NARROW)],
    "stem": [STEM, replace(STEM, out_channels=8)],
    "bottleneck": [BOTTLENECK, replace(BOTTLENECK, kernel=3, mid_channels=24, **NARROW)],
    "bottleneck of stride 2": [
        replace(BOTTLENECK, stride=2, in_channels=8, shortcut="project_norm"),
        replace(BOTTLENECK, stride=2, out_channels=8, mid_channels=24, shortcut="project_norm"),
    ],
    "groups": [GROUPED, replace(GROUPED, mid_channels=24, groups=3, kernel=3)],
    "universal bottleneck": [
        UIB,
        replace(UIB, start=5, kernel=0, se=8),
        replace(UIB, start=0, mid_channels=32, se=0),
        replace(UIB, start=0, kernel=0, shortcut="none", **NARROW),
        replace(UIB, start=3, in_channels=8, shortcut="none"),
    ],
    "universal bottleneck of stride 2": [
        replace(UIB, stride=2, shortcut="none", height=7),
        replace(UIB, stride=2, start=0, kernel=3, shortcut="none", height=7),
    ],
    "universal bottleneck whose first convolution has the stride": [
        replace(UIB, stride=2, shortcut="none", kernel=0),
        replace(UIB, stride=2, shortcut="none", kernel=0, start=3),
    ],
    "fused": [FUSED, replace(FUSED, stride=1, kernel=3, mid_channels=24, se=8, **NARROW)],
    "basic": [BASIC, replace(BASIC, mid_channels=24, **NARROW)],
    "strided shortcut": [
        replace(BASIC, stride=2, shortcut="conv_norm"),
        replace(BASIC, stride=2, shortcut="project_norm", in_channels=8, mid_channels=24),
        replace(BASIC, stride=2, shortcut="conv_norm", out_channels=8),
    ],
    "depthwise, activated twice": [
        replace(DS, op="dsconv_act"),
        replace(DS, op="dsconv_act", in_channels=8, mid_channels=8, shortcut="none"),
    ],
    "gates with sigmoid": [
        replace(LARGE, gate="sigmoid", act="swish"),
        replace(LARGE, gate="sigmoid", act="swish", mid_channels=32, se=8),
        replace(LARGE, se=0, act="swish"),
    ],
    "hard gates behind the block's activation": [
        replace(LARGE, gate="hard_sigmoid_act", act="hard_swish"),
        replace(LARGE, gate="hard_sigmoid_act", act="hard_swish", mid_channels=32, se=8),
    ],
    "bottleneck with gates": [replace(GROUPED, se=8, gate="sigmoid"), GROUPED],
    "bottleneck with a gated output": [
        replace(GROUPED, op="bottleneck_se", se=8, gate="sigmoid"),
        replace(GROUPED, op="bottleneck_se", se=4, gate="sigmoid", **NARROW),
        replace(GROUPED, op="bottleneck_se"),
    ],
    "basic with a gated output": [
        replace(BASIC, op="basic_se", se=8),
        replace(BASIC, op="basic_se", se=4, mid_channels=24, out_channels=8, shortcut="conv_norm"),
    ],
    "fused, activated twice": [TWICE, replace(TWICE, se=0)],
    "universal bottleneck with factors": [
        SCALED,
        replace(SCALED, start=0, kernel=0, se=0, **NARROW),
        replace(SCALED, out_channels=8, shortcut="none", mid_channels=32),
    ],
    "attention": [
        MQA,
        replace(MQA, heads=2, mid_channels=16, kernel=5),
        replace(MQA, mid_channels=24, **NARROW),
        replace(MQA, heads=2, mid_channels=12, out_channels=8, shortcut="none"),
    ],
    "attention to all pixels": [
        replace(MQA, reduction=1, kernel=1),
        replace(MQA, reduction=1, kernel=1, heads=1, mid_channels=8),
    ],
}


def shuffle(module: nn.Module) -> None:
    """Values that no two channels share, so that a wrong slice shows."""
    torch.manual_seed(0)
    for name, values in module.state_dict().items():
        if name.endswith("running_var"):
            values.uniform_(0.5, 2)
        else:
            values.add_(0.3 * torch.randn_like(values))


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_is_what_its_name_says(name: Activation) -> None:
    formulas = {
        "none": lambda x: x,
        "relu": lambda x: x.clamp(min=0),
        "relu6": lambda x: x.clamp(0, 6),
        "hard_swish": lambda x: x * (x + 3).clamp(0, 6) / 6,  # arXiv:1905.02244, section 5.2
        "swish": lambda x: x / (1 + (-x).exp()),
    }
    x = torch.linspace(-8, 8, 101)
    torch.testing.assert_close(make_activation(name)(x.clone()), formulas[name](x))


def made(operators: list[Operator]) -> ElasticBlock:
    kind = ElasticConvBlock if operators[0].op == "conv" else ElasticChain
    block = kind(operators, momentum=0.1, eps=1e-5)
    shuffle(block)
    return block


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_form_of_a_block_equals_the_plain_layer(name: str, training: bool) -> None:
    elastic = made(FAMILIES[name]).train(training)
    for operator in [*FAMILIES[name], *FAMILIES[name][::-1]]:
        elastic.activate(operator)
        plain = Network([operator]).layers[0].train(training)
        missing = plain.load_state_dict(elastic.active_state(), strict=False).missing_keys
        assert all(key.endswith("num_batches_tracked") for key in missing)
        x = torch.randn(3, operator.in_channels, operator.height, operator.width)
        expected = plain(x)
        torch.testing.assert_close(elastic(x), expected, atol=1e-5, rtol=1e-5)
        assert expected.shape[2:] == (operator.out_height, operator.out_width)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_learns_in_some_form(name: str) -> None:
    elastic = made(FAMILIES[name])
    for operator in FAMILIES[name]:
        elastic.activate(operator)
        x = torch.randn(3, operator.in_channels, operator.height, operator.width)
        elastic(x).square().sum().backward()
    assert all(weight.grad is not None for weight in elastic.parameters())


def test_a_block_holds_no_more_than_its_largest_operator() -> None:
    for operator in (replace(DS, se=0), LARGE, CONV, BOTTLENECK, GROUPED):
        elastic = made([operator])
        assert sum(p.numel() for p in elastic.parameters()) == operator.params


def test_channels_are_ranked_within_bands() -> None:
    importance = torch.tensor([1.0, 3.0, 2.0, 9.0, 5.0, 7.0])
    assert ranked(importance, [6]).tolist() == [3, 5, 4, 1, 2, 0]
    assert ranked(importance, [6, 4]).tolist() == [3, 1, 2, 0, 5, 4]
    assert ranked(importance, [6, 4, 2]).tolist() == [1, 0, 3, 2, 5, 4]


def test_the_input_of_a_block_is_left_as_it_was() -> None:
    elastic = ElasticChain([LARGE], momentum=0.1, eps=1e-5).eval()
    elastic.activate(LARGE)
    x = torch.randn(2, 16, 6, 6)
    before = x.clone()
    elastic(x)
    assert (x == before).all()


@pytest.mark.parametrize("gate", get_args(Gate))
def test_squeeze_excite_gates_each_channel(gate: Gate) -> None:
    gates = ElasticSqueezeExcite(6, 4, *gate_activations(replace(LARGE, gate=gate, act="swish")))
    shuffle(gates)
    gates.activate(5, 3)
    x = torch.randn(2, 5, 4, 4)
    pooled = x.mean((2, 3))
    assert gates.reduce.bias is not None
    assert gates.expand.bias is not None
    hidden = F.linear(pooled, gates.reduce.weight[:3, :5, 0, 0], gates.reduce.bias[:3])
    hidden = hidden.relu() if gate == "hard_sigmoid" else hidden * hidden.sigmoid()
    logits = F.linear(hidden, gates.expand.weight[:5, :3, 0, 0], gates.expand.bias[:5])
    shares = logits.sigmoid() if gate == "sigmoid" else (logits + 3).clamp(0, 6) / 6
    torch.testing.assert_close(gates(x), x * shares[:, :, None, None])


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_uses_the_leading_channels(bias: bool) -> None:
    large = Operator(op="linear", in_channels=8, out_channels=5, bias=bias, act="relu")
    small = replace(large, in_channels=6, out_channels=4)
    elastic = ElasticLinear([small, large])
    shuffle(elastic)
    elastic.activate(small)
    plain = Network([small]).layers[0]
    plain.load_state_dict(elastic.active_state())
    x = torch.randn(4, 6)
    torch.testing.assert_close(elastic(x), plain(x))
    assert (elastic.bias is not None) == bias
