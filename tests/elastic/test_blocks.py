"""Every elastic block, activated as an operator, is the plain layer of that operator."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.elastic import (
    ElasticConvNorm,
    ElasticLinear,
    ElasticMBConv,
    ElasticSqueezeExcite,
    make_activation,
)
from supernet.models import ConvNorm, Linear, MBConv
from supernet.space import Operator
from supernet.space.operators import Activation

LARGE = Operator(
    op="mbconv", in_channels=16, mid_channels=48, out_channels=16, kernel=5, se=16,
    act="hard_swish", shortcut=True, height=6, width=6,
)  # fmt: skip


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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mid_channels": 32, "se": 8},
        {"kernel": 3},
        {"in_channels": 8, "shortcut": False},
        {"out_channels": 8, "shortcut": False, "kernel": 3, "mid_channels": 24, "se": 8},
    ],
)
def test_an_inverted_bottleneck_equals_the_plain_one(
    changes: dict[str, int], training: bool
) -> None:
    elastic = ElasticMBConv(LARGE, kernels=(3, 5), momentum=0.1, eps=1e-5)
    shuffle(elastic)
    operator = replace(LARGE, **changes)  # type: ignore[arg-type]
    elastic.activate(operator)
    plain = MBConv(operator, momentum=0.1, eps=1e-5)
    missing = plain.load_state_dict(elastic.active_state(), strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    elastic.train(training)
    plain.train(training)
    x = torch.randn(3, operator.in_channels, 6, 6)
    torch.testing.assert_close(elastic(x), plain(x), atol=1e-5, rtol=1e-5)


def test_a_block_without_expansion_has_no_such_weights() -> None:
    operator = replace(LARGE, op="dsconv", mid_channels=16, se=0)
    elastic = ElasticMBConv(operator, kernels=(5,), momentum=0.1, eps=1e-5)
    assert elastic.expand is None
    assert elastic.se is None
    assert sum(p.numel() for p in elastic.parameters()) == operator.params
    assert elastic(torch.randn(2, 16, 6, 6)).shape == (2, 16, 6, 6)


def test_the_input_of_a_block_is_left_as_it_was() -> None:
    elastic = ElasticMBConv(LARGE, kernels=(5,), momentum=0.1, eps=1e-5).eval()
    x = torch.randn(2, 16, 6, 6)
    before = x.clone()
    elastic(x)
    assert (x == before).all()


def test_squeeze_excite_gates_each_channel() -> None:
    gates = ElasticSqueezeExcite(6, 4)
    shuffle(gates)
    gates.activate(5, 3)
    x = torch.randn(2, 5, 4, 4)
    pooled = x.mean((2, 3))
    assert gates.reduce.bias is not None
    assert gates.expand.bias is not None
    hidden = F.linear(pooled, gates.reduce.weight[:3, :5, 0, 0], gates.reduce.bias[:3]).relu()
    logits = F.linear(hidden, gates.expand.weight[:5, :3, 0, 0], gates.expand.bias[:5])
    torch.testing.assert_close(gates(x), x * ((logits + 3).clamp(0, 6) / 6)[:, :, None, None])


def test_a_stem_equals_the_plain_one() -> None:
    large = Operator(
        op="conv", in_channels=3, out_channels=16, kernel=3, stride=2, act="relu6", height=9,
        width=9,
    )  # fmt: skip
    elastic = ElasticConvNorm.of(large, momentum=0.1, eps=1e-5)
    shuffle(elastic)
    elastic.activate(replace(large, out_channels=8))
    plain = ConvNorm(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), make_activation("relu6")
    )
    plain.load_state_dict(elastic.active_state(), strict=False)
    x = torch.randn(3, 3, 9, 9)
    torch.testing.assert_close(elastic.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_uses_the_leading_inputs(bias: bool) -> None:
    large = Operator(op="linear", in_channels=8, out_channels=5, bias=bias, act="relu")
    elastic = ElasticLinear(large)
    shuffle(elastic)
    small = replace(large, in_channels=6)
    elastic.activate(small)
    plain = Linear(small)
    plain.load_state_dict(elastic.active_state())
    x = torch.randn(4, 6)
    torch.testing.assert_close(elastic(x), plain(x))
    assert (elastic.bias is not None) == bias
