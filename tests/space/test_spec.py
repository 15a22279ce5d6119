"""Search spaces: what they refuse, and when two are the same."""

from dataclasses import replace
from typing import Any

import pytest

from supernet.blocks import KINDS
from supernet.errors import ConfigError
from supernet.space import Head, Space, Stage, Stem, load_space

ALL = ", ".join(name for name, kind in KINDS.items() if not kind.in_cells)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"width": ()}, "width: needs 1 to 64 choices, found 0"),
        ({"width": (16, 8)}, "width: choices must ascend without repeats, found [16, 8]"),
        ({"width": (8, 8)}, "width: choices must ascend without repeats, found [8, 8]"),
        ({"width": (0, 8)}, "width: choices must be from 1 to 8192, found [0]"),
        ({"depth": (0, 33)}, "depth: choices must be from 1 to 32, found [33]"),
        (
            {"depth": (0,)},
            "depth: 0 leaves the stage out, which needs another choice and stride 1, found [0], "
            "stride 1",
        ),
        ({"kernel": (3, 4)}, "kernel: choices must be odd and from 1 to 15, found [4]"),
        ({"expand": (0.0,)}, "expand: choices must be from 0.01 to 16, found [0.0]"),
        ({"expand": (float("nan"),)}, "expand: choices must be from 0.01 to 16, found [nan]"),
        (
            {"gate": "hard_sigmoid_act"},
            "gate: hard_sigmoid_act with act relu is hard_sigmoid",
        ),
        ({"expand": (1.0, 2.0)}, "expand: 1 cannot be mixed with others, found [1.0, 2.0]"),
        ({"stride": 0}, "stride: choices must be from 1 to 4, found [0]"),
        ({"se": (-0.5,)}, "se: choices must be from 0 to 1, found [-0.5]"),
        ({"se": (float("nan"),)}, "se: choices must be from 0 to 1, found [nan]"),
        ({"se": ()}, "se: needs 1 to 64 choices, found 0"),
        (
            {"block": ("mbconv", "conv")},
            f"block: needs at least one choice, without repeats and in the order {ALL}; "
            "found ['mbconv', 'conv']",
        ),
        (
            {"shortcut": ()},
            "shortcut: needs at least one choice, without repeats and in the order none, "
            "identity, pool, project, project_norm, conv_norm; found []",
        ),
        (
            {"block": ("conv", "dsconv"), "expand": (2.0, 3.0)},
            "expand: has no effect on conv, dsconv; give one value",
        ),
        ({"start": (0, 3)}, "start: needs block uib or uib_scaled, found ['mbconv']"),
        ({"kernel": (0, 3)}, "kernel: 0 needs block uib or uib_scaled alone, found ['mbconv']"),
        ({"heads": (4,)}, "heads: needs block mqa, found ['mbconv']"),
        ({"key_size": (16,)}, "key_size: needs block mqa, found ['mbconv']"),
        ({"block": ("mqa",)}, "heads: block mqa needs them, such as heads: 4"),
        (
            {"block": ("mqa",), "key_size": (16,)},
            "heads: block mqa needs them, such as heads: 4; key_size alone says nothing",
        ),
        (
            {"block": ("mqa",), "heads": (3,)},
            "heads: 3 do not divide the width 8; give a key_size, or other heads",
        ),
        (
            {"block": ("mqa",), "heads": (2, 4)},
            "key_size: 0, the width divided by the heads, needs one width and one number of heads; "
            "give sizes, such as key_size: 2",
        ),
        (
            {"block": ("mqa", "mbconv"), "heads": (2,)},
            "block: mqa must be the only kind of a stage, found ['mqa', 'mbconv']",
        ),
        ({"block": ("mqa",), "heads": (2,), "stride": 2}, "stride: block mqa has none, found 2"),
        (
            {"block": ("mqa",), "heads": (2,), "kernel": (3, 5)},
            "kernel: has no effect on mqa without reduction, found [3, 5]",
        ),
        (
            {"depth": (0, 1), "stride": 2},
            "depth: 0 leaves the stage out, which needs another choice and stride 1, found [0, 1], "
            "stride 2",
        ),
        (
            {"block": ("uib",), "kernel": (0,), "stride": 2},
            "kernel 0 with start 0 makes no block of stride 2: no convolution is left for it; "
            "give kernel or start another choice",
        ),
        ({"block": ("bottleneck", "bottel")}, f"block: must be one of {ALL}; found 'bottel'"),
        (
            {"group_width": 8},
            "group_width: needs block bottleneck or bottleneck_se, found ['mbconv']",
        ),
    ],
)
def test_an_impossible_stage_is_refused(changes: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"width": (8,), "depth": (1,)}
    with pytest.raises(ConfigError) as caught:
        Stage(**values | changes)
    assert caught.value.problems == [text]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"resolutions": (4,)}, "resolutions: choices must be from 8 to 4096, found [4]"),
        ({"in_channels": 0}, "in_channels: choices must be from 1 to 64, found [0]"),
        ({"num_classes": 1}, "num_classes: choices must be from 2 to 65536, found [1]"),
        ({"name": "../x"}, "name: must be letters, digits, '_', '-' or '.', found '../x'"),
        ({"name": ""}, "name: must be letters, digits, '_', '-' or '.', found ''"),
        ({"stages": ()}, "stages: need 1 to 128 blocks in all"),
        ({"stages": (Stage(width=(8,), depth=(32,)),) * 5}, "stages: need 1 to 128 blocks in all"),
        (
            {"stages": (Stage(width=(8,), depth=(0, 1)),)},
            "stage 1: depth 0 needs the one width of what is before it, [8, 16], found [8]",
        ),
        ({"bn_momentum": 0.0}, "bn_momentum: must be above 0 and at most 1, found 0.0"),
        ({"bn_eps": 1.0}, "bn_eps: must be between 0 and 1, found 1.0"),
    ],
)
def test_an_impossible_space_is_refused(
    tiny_space: Space, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(tiny_space, **changes)
    assert caught.value.problems == [text]


def test_stem_and_head_have_rules_too() -> None:
    with pytest.raises(ConfigError) as caught:
        Stem(width=(0,), kernel=2, stride=9)
    assert [p.split(":")[0] for p in caught.value.problems] == ["width", "kernel", "stride"]
    with pytest.raises(ConfigError) as caught:
        Stem(width=(8,), depth=(), out=(0,))
    assert [p.split(":")[0] for p in caught.value.problems] == ["depth", "out"]
    with pytest.raises(ConfigError, match="width and expand: give one of them"):
        Head(width=8, expand=2)
    with pytest.raises(ConfigError, match="expand: must be from 0 to 16, found 17"):
        Head(expand=17)
    with pytest.raises(ConfigError) as caught:
        Head(width=-1, features=(1 << 20,), dropout=1.0)
    assert [p.split(":")[0] for p in caught.value.problems] == ["width", "features", "dropout"]


def test_the_hash_is_of_the_choices_alone(tiny_space: Space) -> None:
    # runs and subnets refer to it: that of commit 93e1f89, before there was a padding
    assert load_space("mobilenet_v3").hash == "555b4421047d"
    same = replace(tiny_space, name="other", about="text", in_channels=1, num_classes=10)
    assert same.hash == tiny_space.hash
    assert len(tiny_space.hash) == 12
    for changes in (
        {"resolutions": (16,)},
        {"bn_eps": 1e-3},
        {"padding": "same"},
        {"head": Head(width=32, features=(24,))},
        {"stages": tiny_space.stages[:-1]},
        {"stem": Stem(width=(8, 24), act="hard_swish")},
    ):
        assert replace(tiny_space, **changes).hash != tiny_space.hash


def test_a_space_is_a_value(tiny_space: Space) -> None:
    assert replace(tiny_space) == tiny_space
    assert hash(replace(tiny_space)) == hash(tiny_space)
