"""Operators: shapes, costs, the signature, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.blocks import parts_of, same_pads
from supernet.errors import ConfigError
from supernet.latency.kit.spec import Spec
from supernet.space import Operator, Space, operators_of, total_macs, total_params
from supernet.space.operator import OPERATOR_KINDS, round_channels

MBCONV: dict[str, Any] = {
    "op": "mbconv",
    "in_channels": 16,
    "mid_channels": 48,
    "out_channels": 24,
    "kernel": 5,
    "stride": 2,
    "act": "relu",
    "se": 16,
    "height": 31,
    "width": 32,
}


def test_costs_of_an_inverted_bottleneck_counted_by_hand() -> None:
    operator = Operator(**MBCONV)
    assert (operator.out_height, operator.out_width) == (16, 16)
    expand, depthwise, gates, project = 16 * 48, 25 * 48, 2 * 48 * 16, 48 * 24
    assert operator.macs == expand * 31 * 32 + depthwise * 256 + gates + project * 256
    biases, norms = 16 + 48, 2 * (48 + 48 + 24)
    assert operator.params == expand + depthwise + gates + biases + project + norms


def test_costs_of_the_other_kinds_counted_by_hand() -> None:
    conv = Operator(op="conv", in_channels=3, out_channels=8, kernel=3, stride=2, height=9, width=9)
    assert (conv.macs, conv.params) == (27 * 8 * 25, 27 * 8 + 16)
    light = Operator(
        op="dsconv", in_channels=8, mid_channels=8, out_channels=16, kernel=3, height=4, width=4
    )
    assert (light.macs, light.params) == (72 * 16 + 128 * 16, 72 + 128 + 2 * (8 + 16))
    pool = Operator(op="pool", in_channels=8, out_channels=8, height=4, width=4)
    assert (pool.macs, pool.params, pool.out_height, pool.out_width) == (0, 0, 1, 1)
    linear = Operator(op="linear", in_channels=8, out_channels=5)
    biased = Operator(op="linear", in_channels=8, out_channels=5, bias=True)
    assert (linear.macs, linear.params, biased.macs, biased.params) == (40, 40, 40, 45)
    assert total_macs([conv, linear]) == conv.macs + 40
    assert total_params([conv, linear]) == conv.params + 40


def test_the_signature_reads_as_documented() -> None:
    square = MBCONV | {"height": 32}
    assert Operator(**square).key == "mbconv 16-48-24 k5 s2 relu se16 32x32"
    same = Operator(**square, padding="same")
    assert same.key == "mbconv 16-48-24 k5 s2 same relu se16 32x32"


# tf.nn.conv2d(padding="SAME"), section "padding" of its documentation: with strides that
# divide the size, max(kernel - stride, 0) in all; else max(kernel - size % stride, 0); the
# odd one after
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [
        (224, 3, 2, (0, 1)),
        (224, 5, 2, (1, 2)),
        (224, 7, 2, (2, 3)),
        (15, 3, 2, (1, 1)),
        (15, 5, 2, (2, 2)),
        (1, 5, 2, (2, 2)),
        (14, 5, 1, (2, 2)),
        (12, 3, 4, (0, 0)),
        (13, 3, 3, (1, 1)),
    ],
)
def test_the_padding_is_tensorflows(
    size: int, kernel: int, stride: int, pads: tuple[int, int]
) -> None:
    assert same_pads(size, kernel, stride) == pads
    windows = (size + sum(pads) - kernel) // stride + 1
    assert windows == -(-size // stride)


def test_an_operator_pads_each_direction_by_its_own_size() -> None:
    same = Operator(**MBCONV, padding="same")
    assert (same.height, same.width) == (31, 32)
    assert (same.macs, same.params) == (Operator(**MBCONV).macs, Operator(**MBCONV).params)
    assert "padding" not in Operator(**MBCONV).as_dict()  # as in files from before
    assert Operator(**same.as_dict()) == same
    for made in (same, Spec.of(same)):
        assert [part.pads for part in parts_of(made)] == [(0,) * 4, (2, 1, 2, 2), (0,) * 4]
    assert parts_of(Operator(**MBCONV))[1].pads == (2, 2, 2, 2)


def test_different_operators_have_different_signatures(any_space: Space) -> None:
    operators = operators_of(any_space)
    assert len({operator.key for operator in operators}) == len(operators) > 100


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"in_channels": -1}, "in_channels: must be from 0 to 65536, found -1"),
        ({"height": 65537}, "height: must be from 0 to 65536, found 65537"),
        ({"out_channels": 0}, "in_channels, out_channels and stride must be at least 1"),
        ({"stride": 0}, "in_channels, out_channels and stride must be at least 1"),
        ({"kernel": 4}, "kernel must be odd, height and width at least 1"),
        ({"width": 0}, "kernel must be odd, height and width at least 1"),
        ({"mid_channels": 0}, "mid_channels: 0 does not fit op 'mbconv'"),
        ({"op": "conv"}, "mid_channels: 48 does not fit op 'conv'"),
        ({"op": "dsconv"}, "mid_channels: must equal in_channels for op 'dsconv'"),
        (
            {"shortcut": "identity"},
            "shortcut: identity needs stride 1 and in_channels = out_channels",
        ),
        ({"shortcut": "pool"}, "shortcut: pool needs in_channels = out_channels"),
        (
            {"shortcut": "project", "stride": 1, "out_channels": 16},
            "shortcut: project with stride 1 and the same channels is identity",
        ),
        (
            {"op": "bottleneck", "se": 0, "groups": 5},
            "groups: 5 do not divide the 48 middle channels",
        ),
        ({"op": "mbcon"}, f"op: must be one of {', '.join(OPERATOR_KINDS)}; found 'mbcon'"),
        ({"start": 3}, "kernel must be odd, height and width at least 1"),
        ({"kernel": 0}, "kernel must be odd, height and width at least 1"),
        (
            {"op": "uib", "kernel": 0},
            "stride: 2 needs a convolution to stand in (kernel 0, start 0)",
        ),
        ({"groups": 2}, "groups: 2 does not fit op 'mbconv'"),
        ({"heads": 2}, "heads: 2 does not fit op 'mbconv'"),
        ({"reduction": 2}, "reduction: 2 does not fit op 'mbconv'"),
        ({"op": "mqa", "se": 0}, "heads: 0 does not fit op 'mqa'"),
        ({"op": "mqa", "se": 0, "heads": 5}, "heads: 5 do not divide the 48 middle channels"),
        (
            {"op": "mqa", "se": 0, "heads": 4, "stride": 1},
            "kernel: 5 has no effect on op 'mqa' with reduction 1; give 1",
        ),
        ({"se": 0, "gate": "sigmoid"}, "gate: sigmoid needs se"),
        (
            {"gate": "hard_sigmoid_act", "act": "relu"},
            "gate: hard_sigmoid_act with act relu is hard_sigmoid",
        ),
        (
            {"shortcut": "conv_norm", "stride": 1, "out_channels": 16},
            "shortcut: conv_norm with stride 1 and the same channels is identity",
        ),
        ({"padding": "same", "kernel": 1}, "padding: same with kernel or stride 1 is symmetric"),
        ({"padding": "same", "stride": 1}, "padding: same with kernel or stride 1 is symmetric"),
    ],
)
def test_an_impossible_operator_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Operator(**MBCONV | changes)
    assert caught.value.problems == [text]


def test_several_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Operator(**MBCONV | {"in_channels": -1, "height": -2, "shortcut": "identity"})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    # MobileNetV3's make_divisible(value, 8), worked out by hand: nearest, half up,
    # and one step more where that loses over a tenth
    [
        (1, 8),
        (8, 8),
        (11, 16),
        (12, 16),
        (16 * 0.25, 8),
        (18, 24),
        (19, 24),
        (20, 24),
        (37, 40),
        (91, 88),
        (72 * 0.25, 24),
        (120 * 0.25, 32),
        (960 * 0.25, 240),
    ],
)
def test_channels_are_rounded_as_in_mobilenet_v3(value: float, expected: int) -> None:
    assert round_channels(value) == expected


@given(st.floats(1, 1e4))
def test_rounding_never_loses_a_tenth(value: float) -> None:
    rounded = round_channels(value)
    assert rounded % 8 == 0
    assert rounded >= 0.9 * value
    assert rounded <= max(8, value + 8)
