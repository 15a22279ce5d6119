"""Subnets as values and as files."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError, FileFormatError
from supernet.space import (
    Block,
    Space,
    Subnet,
    SubnetFile,
    check_operators,
    decode,
    largest_subnet,
    operators,
    sample,
    stage_operators,
    subnet_keys,
    unique,
)


@pytest.fixture
def subnet(tiny_space: Space) -> Subnet:
    return largest_subnet(tiny_space)


@pytest.fixture
def body(tiny_space: Space, subnet: Subnet, tmp_path: Path) -> dict[str, Any]:
    """A valid file as plain data."""
    SubnetFile.of(tiny_space, subnet).save(tmp_path / "valid.json")
    body: dict[str, Any] = json.loads((tmp_path / "valid.json").read_text())
    return body


def load(folder: Path, body: dict[str, Any]) -> SubnetFile:
    (folder / "subnet.json").write_text(json.dumps(body))
    return SubnetFile.load(folder / "subnet.json")


@given(seed=st.integers(0, 2**32 - 1))
def test_operators_follow_each_other(any_space: Space, seed: int) -> None:
    subnet = decode(any_space, sample(any_space, 1, np.random.default_rng(seed)))[0]
    found = operators(any_space, subnet)
    assert (found[0].height, found[0].in_channels) == (subnet.resolution, any_space.in_channels)
    assert found[0].out_channels == subnet.stem_width
    assert found[-1].out_channels == any_space.num_classes
    assert found[-1].bias
    for before, after in itertools.pairwise(found):
        assert before.out_channels == after.in_channels
        assert (before.out_height, before.out_width) == (after.height, after.width)
    blocks = [block for stage in subnet.stages for block in stage.blocks]
    named = stage_operators(any_space, subnet)
    kernels = [o.kernel for name, o in named if name.startswith("stage")]
    assert kernels == [block.kernel for block in blocks]


def test_slots_are_named_by_stage_and_block(tiny_space: Space, subnet: Subnet) -> None:
    names = [name for name, _ in stage_operators(tiny_space, subnet)]
    assert names[:3] == ["stem", "stage1.block1", "stage2.block1"]
    assert names[-4:] == ["head.conv", "head.pool", "head.features", "head.classifier"]
    assert len(names) == 1 + 6 + 4


def test_a_shortcut_is_where_shapes_allow_it(tiny_space: Space, subnet: Subnet) -> None:
    by_slot = dict(stage_operators(tiny_space, subnet))  # stem 16, stages 16, 24, 24
    assert by_slot["stage1.block1"].shortcut == "identity"
    assert by_slot["stage2.block1"].shortcut == "none"  # stride 2
    assert by_slot["stage3.block1"].shortcut == "identity"
    narrow = replace(subnet, stem_width=8)
    assert dict(stage_operators(tiny_space, narrow))["stage1.block1"].shortcut == "none"


def test_values_outside_the_space_are_all_reported(tiny_space: Space, subnet: Subnet) -> None:
    first = replace(subnet.stages[0], width=9, blocks=(Block(kernel=4, expand=1.5),) * 2)
    wrong = replace(subnet, resolution=17, stages=(first, *subnet.stages[1:]))
    with pytest.raises(ConfigError) as caught:
        operators(tiny_space, wrong)
    assert caught.value.problems == [
        "resolution: must be one of 16, 24, found 17",
        "stage1.width: must be one of 8, 16, found 9",
        "stage1.depth: must be one of 1, found 2",
        "stage1.block1.kernel: must be one of 3, 5, found 4",
        "stage1.block1.expand: must be one of 1, found 1.5",
    ]
    with pytest.raises(ConfigError, match="stages: the space has 3, the subnet 2"):
        operators(tiny_space, replace(subnet, stages=subnet.stages[:2]))


@given(seed=st.integers(0, 2**32 - 1))
def test_a_file_comes_back_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, any_space: Space, seed: int
) -> None:
    subnet = decode(any_space, sample(any_space, 1, np.random.default_rng(seed)))[0]
    file = SubnetFile.of(
        any_space,
        subnet,
        checkpoint={"path": "../weights.safetensors", "sha256": "ab"},
        predicted={"top1": 81.25, "target": "this_machine"},
    )
    path = tmp_path_factory.mktemp("subnets") / "subnet.json"
    file.save(path)
    assert SubnetFile.load(path) == file
    assert list(check_operators(any_space, file)) == operators(any_space, subnet)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"latency_low_ms": "a"}, "latency_low_ms: must be milliseconds, none beyond 1e+12"),
        ({"latency_ms": 10**400}, "latency_ms: must be milliseconds"),
        ({"latency_ms": True}, "latency_ms: must be milliseconds"),
        ({"latency_ms": 1e-320}, "latency_ms: must be milliseconds"),
        ({"features_latency_ms@phone": [1]}, "features_latency_ms@phone: must be milliseconds"),
        ({"top1": "90"}, "top1: must be a number, found '90'"),
        ({"top1": 1e30}, "top1: must be of numbers, none too large"),
        ({"holdout_top1": False}, "holdout_top1: must be a number, found False"),
        ({"max_abs_diff": -1}, "max_abs_diff: must be a number from 0"),
        ({"target": 3}, "target: must be a name, found 3"),
        ({"target": "a\0"}, "target: must be a name"),
        ({"files": {"model.onnx": {"bytes": 10**400}}}, "files: must be of numbers, none too"),
        ({"mine": [1, {"a": [-1e300]}]}, "mine: must be of numbers, none too large"),
    ],
)
@pytest.mark.parametrize("where", ["predicted", "measured"])
def test_figures_that_are_none_are_named(
    tmp_path: Path, body: dict[str, Any], where: str, told: dict[str, Any], problem: str
) -> None:
    body[where] = told
    with pytest.raises(ConfigError) as error:
        load(tmp_path, body)
    assert f"{where}.{problem}" in str(error.value)
    assert str(tmp_path / "subnet.json") in str(error.value)


@pytest.mark.parametrize("path", ["a\0b", "a" * 300, "a/" * 4000])
def test_a_checkpoint_that_can_be_no_path_is_refused(
    tmp_path: Path, body: dict[str, Any], path: str
) -> None:
    body["checkpoint"] = {"path": path, "sha256": "ab"}
    with pytest.raises(ConfigError, match=r"checkpoint\.path: is no path, found"):
        load(tmp_path, body)


def test_figures_that_nobody_knows_stay(tmp_path: Path, body: dict[str, Any]) -> None:
    told = {
        "latency_ms": None, "latency_low_ms": 0.0, "latency_ms@phone": 3, "top1": 120.5,
        "mine": True, "size": [1, 2.5], "files": ["model.onnx"], "name": "a b",
        "finetuned_from": "ab", "target": "tables/pi.json",
    }  # fmt: skip
    body |= {"predicted": told, "measured": told}
    found = load(tmp_path, body)
    assert (found.predicted, found.measured) == (told, told)
    found.save(tmp_path / "again.json")


def test_measured_values_are_added_to_a_copy(tiny_space: Space, subnet: Subnet) -> None:
    file = SubnetFile.of(tiny_space, subnet, measured={"top1": 80.0})
    more = file.with_measured(latency_ms=1.5)
    assert (file.measured, more.measured) == ({"top1": 80.0}, {"top1": 80.0, "latency_ms": 1.5})


def test_the_file_says_its_costs(tiny_space: Space, subnet: Subnet, body: dict[str, Any]) -> None:
    assert body["macs"] == sum(o.macs for o in operators(tiny_space, subnet))
    assert body["params"] == sum(o.params for o in operators(tiny_space, subnet))
    assert [stage["depth"] for stage in body["stages"]] == [1, 2, 3]


def test_edited_files_are_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    stages = [body["stages"][0], body["stages"][1] | {"depth": 1}, body["stages"][2]]
    with pytest.raises(FileFormatError, match="stage 2: depth does not fit the blocks"):
        load(tmp_path, body | {"stages": stages})
    with pytest.raises(FileFormatError, match="macs or params does not fit the blocks"):
        load(tmp_path, body | {"macs": body["macs"] + 1})
    with pytest.raises(FileFormatError, match="macs or params does not fit the blocks"):
        load(tmp_path, body | {"operators": body["operators"][:-1]})
    with pytest.raises(ConfigError, match=r"operators\[0\].kernel must be odd"):
        load(tmp_path, body | {"operators": [body["operators"][0] | {"kernel": 2}]})


def test_operators_that_are_not_those_of_the_subnet_are_refused(
    tiny_space: Space, demo_space: Space, subnet: Subnet
) -> None:
    file = SubnetFile.of(tiny_space, subnet)
    last = replace(file.operators[-1], out_channels=7)
    with pytest.raises(ConfigError, match=r"operator 11: the file says 'linear 24-7 .*the space"):
        check_operators(tiny_space, replace(file, operators=(*file.operators[:-1], last)))
    with pytest.raises(ConfigError, match="operators: the file has 10, the space gives 11"):
        check_operators(tiny_space, replace(file, operators=file.operators[:-1]))
    with pytest.raises(ConfigError, match="the subnet is of space 'tiny'"):
        check_operators(demo_space, file)


def test_keys_tell_all_subnets_apart_and_do_not_depend_on_text(any_space: Space) -> None:
    genes = unique(sample(any_space, 300, np.random.default_rng(0)))
    subnets = decode(any_space, genes)
    keys = subnet_keys(any_space, genes)
    assert keys == [subnet.key for subnet in subnets]
    assert len(set(keys)) == len(genes)
    assert {len(key) for key in keys} == {16}
    assert replace(subnets[0], space="renamed").key == keys[0]
    assert replace(subnets[0], space_hash="another").key != keys[0]


def test_a_key_is_the_same_in_every_process_and_version(tiny_space: Space) -> None:
    # a change here loses every evaluation that users have
    assert largest_subnet(tiny_space).key == "d604dc28c3a0d831"
    as_whole = replace(largest_subnet(tiny_space), features=24)
    assert as_whole.key == "d604dc28c3a0d831"


def test_a_key_does_not_depend_on_choices_without_effect(subnet: Subnet) -> None:
    def with_expand(expand: float) -> str:
        (first, *rest), block = subnet.stages, Block(kernel=3, expand=expand)
        first = replace(first, block="dsconv", blocks=(block,))
        return replace(subnet, stages=(first, *rest)).key

    assert with_expand(1) == with_expand(3.0)


def test_a_file_that_names_no_weights_is_of_no_other_ones(tiny_space: Space) -> None:
    subnet = largest_subnet(tiny_space)
    plain = SubnetFile.of(tiny_space, subnet)
    assert not plain.is_of_other_weights("ab")
    known = SubnetFile.of(tiny_space, subnet, checkpoint={"path": "w", "sha256": "ab"})
    assert not known.is_of_other_weights("ab")
    assert known.is_of_other_weights("cd")
