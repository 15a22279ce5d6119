"""Which operators make the maps of a backbone, and what they cost."""

from dataclasses import replace

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.latency import LatencyTable, Row, explain, load_target, make_plan
from supernet.search.objective import COSTS, cost_of, latency
from supernet.space import (
    Body,
    Domain,
    Operator,
    OperatorSum,
    Space,
    Subnet,
    body_operators,
    body_slots,
    chosen_maps,
    decode,
    feature_maps,
    file_bytes,
    largest,
    load_space,
    operators,
    operators_of,
    peak_bytes,
    resized,
    sample,
    slot_operators,
    total_macs,
    total_params,
)
from supernet.space.features import places_of


def some(space: Space, count: int = 30) -> list[Subnet]:
    return decode(space, sample(space, count, np.random.default_rng(0)))


def test_operators_get_the_names_of_their_stages(any_space: Space) -> None:
    for subnet in some(any_space):
        placed = slot_operators(any_space, subnet)
        found = places_of(subnet, [operator for _, operator in placed])
        assert [place.group for place in found] == [slot.place.group for slot, _ in placed]
        blocks = [slot.name for slot, _ in placed if slot.place.part == "stage"]
        assert [str(place) for place in found if place.part == "stage"] == blocks


def test_a_map_is_the_last_one_before_the_stride_changes(any_space: Space) -> None:
    for subnet in some(any_space):
        body = [o for slot, o in slot_operators(any_space, subnet) if slot.place.part != "head"]
        strides = np.cumprod([operator.stride for operator in body]).tolist()
        found = feature_maps(subnet, operators(any_space, subnet))
        assert [one.stride for one in found] == sorted(set(strides))
        for one in found:
            last = len(strides) - 1 - strides[::-1].index(one.stride)
            assert (one.index, one.channels) == (last, body[last].out_channels)


def test_what_is_no_choice_of_maps_is_told(tiny_space: Space) -> None:
    known = feature_maps(some(tiny_space)[0], operators(tiny_space, some(tiny_space)[0]))
    assert [one.name for one in chosen_maps(known, (4, 2))] == ["stride2", "stride4"]
    for strides, why in (
        ((4, 7), "the network has no map of stride 7; its strides are 2, 4"),
        ((4, 4), "a stride is given twice: 4, 4"),
        ((), "the network has maps, and none was named; its strides are 2, 4"),
    ):
        with pytest.raises(ConfigError, match=why):
            chosen_maps(known, strides)
        with pytest.raises(ConfigError, match=why):
            body_slots(tiny_space, strides)


def test_operators_of_another_size_are_those_of_the_space_there(any_space: Space) -> None:
    other = any_space.resolutions[-1]
    for subnet in some(any_space):
        strides = [one.stride for one in feature_maps(subnet, operators(any_space, subnet))]
        for stride in strides:
            body = body_operators(subnet, operators(any_space, subnet), [stride])
            there = replace(subnet, resolution=other)
            expected = body_operators(there, operators(any_space, there), [stride])
            assert resized(body, other, other) == list(expected)
            wide = resized(body, 4 * stride, 6 * stride)
            assert (wide[-1].out_height, wide[-1].out_width) == (4, 6)


VALUES = {
    "macs": total_macs,
    "params": total_params,
    "file_size": lambda body: sum(map(file_bytes, body)),
    "file_size@int8": lambda body: sum(file_bytes(o, "int8") for o in body),
    "peak_memory": lambda body: max(map(peak_bytes, body)),
    "peak_memory@int8": lambda body: max(peak_bytes(o, 1) for o in body),
}


def test_costs_of_populations_are_those_of_backbones(any_space: Space) -> None:
    assert set(VALUES) == set(COSTS)
    genes = sample(any_space, 20, np.random.default_rng(1))
    (one,) = some(any_space, 1)
    known = feature_maps(one, operators(any_space, one))
    for count, size in ((1, None), (2, None), (2, (37, 50))):  # also sizes that halve unevenly
        wanted = Body(features=tuple(a.stride for a in known[:count]), size=size)
        bodies = [
            wanted.of(subnet, operators(any_space, subnet)) for subnet in decode(any_space, genes)
        ]
        for name, value in VALUES.items():
            cost = cost_of(name, any_space, body=wanted)
            np.testing.assert_allclose(cost(genes), [value(body) for body in bodies])
            least = cost.lowest(Domain.of(any_space))
            assert cost(least)[0] <= cost(genes).min()


def expected_ms(table: LatencyTable, space: Space, body: list[Operator]) -> float:
    """By the correction's own words."""
    sums = np.array([sum(table.row_ms(operator) for operator in body)])
    params = float(total_params(body))
    return float(table.correction_of(space.name, whole=False).apply(sums, len(body), params)[0])


@pytest.mark.parametrize("size", [None, (96, 160), (320, 416)])
def test_latencies_of_populations_are_those_of_backbones(size: tuple[int, int] | None) -> None:
    space = replace(load_space("mobilenet_v3"), resolutions=(160, 224))
    table, wanted = load_target("mobile_cpu"), Body(features=(8, 16), size=size)
    predictor = table.predictor(space, wanted)
    genes = sample(space, 20, np.random.default_rng(0))
    bodies = [list(wanted.of(subnet, operators(space, subnet))) for subnet in decode(space, genes)]
    found = predictor.ms(genes)
    np.testing.assert_allclose(found, [expected_ms(table, space, body) for body in bodies])
    assert size is not None or (found < table.predictor(space).ms(genes)).all()
    np.testing.assert_allclose(predictor.predict(genes).ms, found)
    cost = latency("mobile_cpu", predictor)
    assert cost(cost.lowest(Domain.of(space)))[0] <= found.min()
    assert predictor.ms(predictor.fastest())[0] <= found.min()


@pytest.mark.parametrize("last", [8, 16, 32])
def test_the_constant_of_whole_networks_falls_on_a_backbone_by_its_share(last: int) -> None:
    table, space = load_target("x86_server_cpu"), load_space("mobilenet_v3")
    assert table.correction.intercept_ms < -0.2  # more than some whole backbones
    wanted = Body(features=(last,))
    genes = sample(space, 50, np.random.default_rng(0))
    part, whole = table.predictor(space, wanted), table.predictor(space)
    assert part.intercept_ms == 0
    alone = [
        OperatorSum(space, table.row_ms, body)(genes) for body in (wanted, Body())
    ]  # of operators timed one by one
    by_share = part.ms(genes) / whole.ms(genes) / (alone[0] / alone[1])
    assert 0.6 < by_share.min() <= by_share.max() < 1.1  # early layers have few weights
    for subnet, ms in zip(decode(space, genes[:3]), part.ms(genes[:3])):
        body = wanted.of(subnet, operators(space, subnet))
        assert explain(table, subnet, body, whole=False).ms == pytest.approx(ms)


def test_the_input_size_of_a_subnet_says_nothing_of_a_backbone_of_another_size() -> None:
    space = replace(load_space("mobilenet_v3"), resolutions=(160, 224))
    genes = sample(space, 20, np.random.default_rng(0))
    ends = []
    for resolution in (0, 1):
        genes[:, 0] = resolution
        ends.append(cost_of("macs", space, body=Body(features=(8,), size=(320, 256)))(genes))
    np.testing.assert_array_equal(ends[0], ends[1])


def test_a_table_of_other_sizes_says_how_the_size_of_a_backbone_is_measured(
    rng: np.random.Generator,
) -> None:
    space = replace(load_space("mobilenet_v3"), resolutions=(160,))
    rows = {o: Row(operator=o, ms=0.1, spread_ms=0.0) for o in operators_of(space)}
    table = LatencyTable(target="t", device={}, rows=rows)
    assert table.predictor(space, Body(features=(8, 16))).ms(sample(space, 1, rng))[0] > 0
    with pytest.raises(ConfigError, match=r"at 8,16 at 320x256 of space 'mobilenet_v3'") as caught:
        table.predictor(space, Body(features=(8, 16), size=(320, 256)))
    assert "measure --space mobilenet_v3 --resolutions 256,320" in caught.value.hint
    plan = make_plan(space, [256, 320], fit=4, hold_out=1)
    assert plan.resolutions == (256, 320)
    assert plan.space_hash == space.hash


@pytest.mark.parametrize(
    ("features", "size", "message"),
    [((), (64, 64), "is for backbones"), ((8, 32), (64, 16), "from 32, the last stride, to 8192")],
)
def test_a_size_that_no_backbone_reads_is_refused(
    features: tuple[int, ...], size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Body(features=features, size=size)


def test_cells_have_no_maps() -> None:
    space = load_space("demo_cells")
    subnet = decode(space, largest(space))[0]
    with pytest.raises(ConfigError, match="'demo_cells' has cells") as caught:
        feature_maps(subnet, operators(space, subnet))
    assert caught.value.hint == "take a backbone from a space of stages"
