"""Parts put together: who reads whom, how wide, and how many tensors are held at a time."""

import pytest

from supernet.blocks import Part, concat, depthwise, linked, parts_of, program
from supernet.space import Operator, Space, operators_of

MQA = Operator(
    op="mqa", in_channels=16, mid_channels=24, out_channels=8, heads=2, kernel=3, reduction=2,
    height=9, width=7,
)  # fmt: skip


def test_what_reads_a_part_that_is_left_out_reads_past_it() -> None:
    parts = [Part("a", 4, 8), depthwise("b", 8, 0), Part("c", 8, 8), concat("d", Part("b", 8, 8))]
    found = linked(parts, {"a", "c", "d"})
    assert [(part.name, part.inputs) for part in found] == [
        ("a", ("input",)),
        ("c", ("a",)),
        ("d", ("a",)),
    ]


def test_a_chain_holds_one_tensor() -> None:
    block = Operator(op="uib", in_channels=8, mid_channels=16, out_channels=8, kernel=3, start=3)
    assert {(step.reads, step.writes) for step in program(parts_of(block))} == {((0,), 0)}


def test_a_graph_holds_what_is_still_to_be_read() -> None:
    steps = {step.name: (step.reads, step.writes) for step in program(parts_of(MQA))}
    assert steps["norm"] == ((0,), 0)
    assert steps["query"] == ((0,), 1)  # the norm is read again
    assert steps["key_down"] == ((0,), 2)
    assert steps["key"] == ((2,), 2)
    assert steps["value_down"] == ((0,), 0)  # and now for the last time
    assert steps["attend"] == ((1, 2, 0), 0)
    assert steps["scale"] == ((0,), 0)


def test_heads_are_segments_of_the_query_and_of_what_reads_the_attention() -> None:
    parts = {part.name: part for part in parts_of(MQA)}
    assert parts["query"].segments == parts["project"].read_segments == (12, 12)
    assert parts["key"].segments == (12,)
    assert (parts["attend"].height, parts["attend"].width) == (9, 7)
    assert parts["attend"].keys == 5 * 4
    assert parts["attend"].macs == 2 * 9 * 7 * 20 * (12 + 12)


@pytest.mark.parametrize("name", ["mixed", "attending"])
def test_segments_are_as_wide_as_their_parts(
    name: str, mixed_space: Space, attending_space: Space
) -> None:
    for operator in operators_of({"mixed": mixed_space, "attending": attending_space}[name]):
        parts = parts_of(operator)
        for part in parts:
            assert (part.reads, part.writes) == (sum(part.read_segments), sum(part.segments))
        if parts:
            last = parts[-1]
            assert (last.out_height, last.out_width) == (operator.out_height, operator.out_width)
