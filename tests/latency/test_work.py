"""Amounts of work are physical: more to do is never less work."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from supernet.blocks import KINDS, Kind
from supernet.errors import ConfigError
from supernet.latency.work import WORK_TERMS, work_terms
from supernet.space import Operator, load_space, operators_of
from supernet.space.operator import Activation
from tests.shipped import SHIPPED

ACTS: list[Activation] = ["none", "relu", "relu6", "hard_swish", "swish"]


HAVE: dict[str, Callable[[Kind], bool]] = {
    "middle": lambda kind: kind.expands,
    "start": lambda kind: kind.starts,
    "squeeze": lambda kind: bool(kind.gates),
    "heads": lambda kind: kind.attends,
    "keys": lambda kind: kind.attends,
}
"""The kinds of block that have what can grow; all of them where nothing is said."""


@st.composite
def some_operator(draw: st.DrawFn, what: str = "") -> Operator:
    """A block of any kind that has `what`, as spaces make them."""
    kinds = [name for name, kind in KINDS.items() if HAVE.get(what, lambda _: True)(kind)]
    kind = KINDS[draw(st.sampled_from(sorted(kinds)))]
    channels = draw(st.integers(1, 12)) * 8
    after = draw(st.sampled_from([channels, 16, 64]))
    stride = draw(st.sampled_from([1, 2]))
    size = draw(st.integers(1, 40))
    fields: dict[str, Any] = {}
    if kind.middle:
        fields["mid_channels"] = channels * (draw(st.integers(1, 6)) if kind.expands else 1)
    if kind.starts:
        fields["start"] = draw(st.sampled_from([0, 3, 5]))
    if kind.attends:
        stride, fields["heads"] = 1, draw(st.sampled_from([1, 2, 4]))
        fields["mid_channels"] = fields["heads"] * draw(st.sampled_from([8, 16]))
        fields["reduction"] = draw(st.sampled_from([1, 2]))
    if kind.gates:
        fields["se"] = draw(st.sampled_from([0, 8, 32]))
    if stride == 1 and after == channels:
        fields["shortcut"] = draw(st.sampled_from(["none", "identity"]))
    kernel = draw(st.sampled_from([1, 3, 5, 7])) if fields.get("reduction") != 1 else 1
    return Operator(
        op=kind.name, in_channels=channels, out_channels=after, stride=stride,
        kernel=kernel, act=draw(st.sampled_from(ACTS)),
        height=size, width=size, **fields,
    )  # fmt: skip


def grown(operator: Operator, what: str) -> Operator:  # noqa: PLR0911  # one for each
    """The operator with more of one thing."""
    o = operator
    if what == "channels":
        assume(o.shortcut != "identity")
        mid = o.mid_channels + 8 * (KINDS[o.op].middle == "as_read")
        return replace(o, in_channels=o.in_channels + 8, mid_channels=mid)
    if what == "middle":
        return replace(o, mid_channels=o.mid_channels + 8)
    if what == "outputs":
        assume(o.shortcut != "identity")
        return replace(o, out_channels=o.out_channels + 8)
    if what == "kernel":
        return replace(o, kernel=o.kernel + 2)
    if what == "start":
        return replace(o, start=o.start + 2 if o.start else 3)
    if what == "heads":
        return replace(o, heads=2 * o.heads, mid_channels=2 * o.mid_channels)
    if what == "keys":
        return replace(o, mid_channels=o.mid_channels + o.heads)
    if what == "pixels":
        return replace(o, height=o.height + 1, width=o.width + 1)
    return replace(o, se=o.se + 8)


@pytest.mark.parametrize(
    "what",
    ["channels", "middle", "outputs", "kernel", "start", "squeeze", "heads", "keys", "pixels"],
)
@given(data=st.data())
def test_more_to_do_is_never_less_of_any_work(what: str, data: st.DataObject) -> None:
    operator = data.draw(some_operator(what))
    try:
        more = grown(operator, what)
    except ConfigError:
        assume(False)
    small, large = dict(work_terms(operator)), dict(work_terms(more))
    assert all(amount <= large[name] + 1e-12 for name, amount in small.items())


@given(operator=some_operator())
def test_a_stride_is_never_more_work(operator: Operator) -> None:
    assume(operator.shortcut == "none" and not operator.heads)
    assume(operator.height > 1)  # a stride over one pixel leaves as many
    one, two = (dict(work_terms(replace(operator, stride=stride))) for stride in (1, 2))
    assert all(amount <= one[name] + 1e-12 for name, amount in two.items())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_operator_of_every_space_has_known_work(name: str) -> None:
    for operator in operators_of(load_space(name)):
        amounts = dict(work_terms(operator))
        assert amounts
        assert set(amounts) <= set(WORK_TERMS)
        assert all(amount >= 0 for amount in amounts.values())


def test_the_arithmetic_by_hand() -> None:
    block = Operator(
        op="mbconv", in_channels=16, mid_channels=48, out_channels=24, kernel=3, act="hard_swish",
        height=8, width=8, se=16,
    )  # fmt: skip
    amounts = dict(work_terms(block))
    assert amounts["matmul"] == pytest.approx(64 * (16 * 48 + 48 * 24) / 1e6)
    # a 3x3 window on 8x8 pixels has 3*8 - 2 = 22 taps inside, each way
    assert amounts["taps"] == pytest.approx(22 * 22 * 48 / 1e6)
    assert amounts["squeeze_weights"] == pytest.approx(2 * 48 * 16 / 1e6)
    assert amounts["gate"] == pytest.approx(2 * 64 * 48 / 1e6)
    assert amounts["matmul_calls"] == 2
    assert "add" not in amounts


def test_groups_save_arithmetic_but_not_calls() -> None:
    whole = Operator(
        op="bottleneck", in_channels=64, mid_channels=64, out_channels=64, kernel=3, act="relu",
        height=14, width=14,
    )  # fmt: skip
    one, eight = dict(work_terms(whole)), dict(work_terms(replace(whole, groups=8)))
    assert eight["matmul"] < one["matmul"]
    assert eight["matmul_calls"] == one["matmul_calls"] + 7
