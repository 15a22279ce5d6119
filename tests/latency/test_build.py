"""Building a table: rows, correction, and an error from networks that had no part in it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.latency import (
    KitResult,
    LatencyTable,
    build_table,
    describe_device,
    make_plan,
    measure_here,
    table_of,
)
from supernet.latency.kit.plan import HOLD_OUT
from supernet.latency.kit.protocol import Timing
from supernet.space import Operator, Space, operators_of, sample
from tests.latency.conftest import SHORT


@pytest.fixture
def result(tiny_space: Space, stopwatch: Any) -> KitResult:
    return measure_here(make_plan(tiny_space))


def test_every_operator_of_the_space_gets_a_row(tiny_space: Space, stopwatch: Any) -> None:
    table = build_table(tiny_space, target="bench")
    assert list(table.rows) == operators_of(tiny_space)
    for operator in list(table.rows)[::20]:
        assert table.rows[operator].ms == pytest.approx(stopwatch.by_macs([operator]), rel=1e-4)
        assert table.rows[operator].spread_ms == pytest.approx(0, abs=1e-6)
    assert table.missing(tiny_space) == []
    assert table.target == "bench"


def test_the_error_is_found_on_networks_without_part_in_the_fit(
    tiny_space: Space, stopwatch: Any
) -> None:
    table = build_table(tiny_space, fit_networks=6, check_networks=9)
    assert (table.correction.networks, table.held_out.networks) == (6, 9)
    plan = make_plan(tiny_space, fit=6, hold_out=9)
    unseen = [plan.specs(network) for network in plan.networks if network.use == HOLD_OUT]
    expected = [stopwatch.by_macs(specs) for specs in unseen]
    np.testing.assert_allclose(table.held_out.measured_ms, expected, rtol=1e-3)
    assert table.held_out.space_hash == tiny_space.hash


def test_times_that_add_up_are_predicted_exactly(tiny_space: Space, stopwatch: Any) -> None:
    """Each model costs 0.01 ms and its MACs: a network of n costs (n - 1) x 0.01 less."""
    table = build_table(tiny_space)
    assert table.correction.slope == pytest.approx(1, abs=0.01)
    assert table.correction.per_operator_ms == pytest.approx(-0.01, abs=1e-3)
    assert table.held_out.mape == pytest.approx(0, abs=0.05)


def test_a_wrong_stopwatch_shows_in_the_error(
    tiny_space: Space, stopwatch: Any, rng: np.random.Generator
) -> None:
    factors: dict[int, float] = {}

    def noisy(operators: Any) -> float:
        factor = factors.setdefault(id(operators), rng.uniform(0.5, 1.5))
        return float(stopwatch.by_macs(operators) * factor)

    stopwatch.ms = noisy
    table = build_table(tiny_space)
    assert table.held_out.mape > 3


def test_a_neighbour_who_slows_operators_more_than_others_changes_no_table(
    tiny_space: Space, stopwatch: Any
) -> None:
    """Seen on a rented machine: most of the time somebody else had the core's other thread."""

    def beside_a_neighbour(operators: Any) -> float:
        kind = "network" if len(operators) > 1 else operators[0].op
        slowed = {"network": 1.7, "mbconv": 2.0, "dsconv": 2.0}.get(kind, 1.4)
        there = stopwatch.now_ns // 1_000_000 % 4 > 0  # three milliseconds of four
        return float(stopwatch.by_macs(operators) * (slowed if there else 1.0))

    stopwatch.ms = beside_a_neighbour
    plan = make_plan(tiny_space)
    protocol = replace(SHORT, rounds=8, least=8, burst=12)
    table = table_of([measure_here(plan, protocol=protocol)], "bench")
    for operator, row in table.rows.items():
        if operator.op == plan.reference()[0].op:
            assert row.ms == pytest.approx(stopwatch.by_macs([operator]), rel=0.05)


def test_known_rows_are_not_measured_again(tiny_space: Space, stopwatch: Any) -> None:
    part = replace(tiny_space, resolutions=(16,))
    known = build_table(part)
    stopwatch.asked.clear()
    table = build_table(tiny_space, known=known)
    measured = len(stopwatch.asked["operators"])
    assert measured == len(operators_of(tiny_space)) - len(operators_of(part)) > 0
    assert {o: table.rows[o] for o in known.rows} == known.rows


def test_the_device_names_processor_runtime_and_date(result: KitResult, stopwatch: Any) -> None:
    device = table_of([result], "bench").device
    assert device["runtime_version"] == "1.2.3"
    assert device["measured_at"].endswith("+00:00")
    assert describe_device().items() <= device.items()
    assert all(device.values())


# ------------------------------------------------------------------ several results


def test_results_of_several_kits_become_one_table(
    tiny_space: Space, mixed_space: Space, stopwatch: Any, tmp_path: Path
) -> None:
    results = [
        measure_here(make_plan(space, fit=5, hold_out=4)) for space in (tiny_space, mixed_space)
    ]
    table = table_of(results, "bench")
    assert table.missing(tiny_space) == table.missing(mixed_space) == []
    assert table.held_out.networks == 8
    assert table.spaces == ("tiny", "mixed")
    alone = [table_of([result], "bench") for result in results]
    assert [one.spaces for one in alone] == [("tiny",), ("mixed",)]
    assert table.corrections == {"tiny": alone[0].correction, "mixed": alone[1].correction}
    assert table.correction == alone[0].correction
    assert table.held_out.predicted_ms[4:] == pytest.approx(alone[1].held_out.predicted_ms)
    table.save(tmp_path / "both.json")
    assert LatencyTable.load(tmp_path / "both.json").corrections == table.corrections
    genes = sample(mixed_space, 5, np.random.default_rng(0))
    again, only = table.predict_ms(mixed_space, genes), alone[1].predict_ms(mixed_space, genes)
    np.testing.assert_allclose(again.ms, only.ms)


def test_a_space_keeps_its_correction_when_another_is_measured(
    tiny_space: Space, mixed_space: Space, stopwatch: Any
) -> None:
    """Networks of the first take twice the sum of their operators, those of the second once."""
    stopwatch.ms = lambda o: stopwatch.by_macs(o) * (2 if len(o) > 1 else 1)
    first = table_of([measure_here(make_plan(tiny_space))], "bench")
    stopwatch.ms = stopwatch.by_macs
    both = table_of([measure_here(make_plan(mixed_space))], "bench", known=first)
    assert both.corrections["tiny"] == first.correction
    assert both.correction == both.corrections["mixed"] != first.correction
    genes = sample(tiny_space, 20, np.random.default_rng(0))
    expected = first.predictor(tiny_space).ms(genes)
    np.testing.assert_allclose(both.predictor(tiny_space).ms(genes), expected, rtol=0.01)
    again = table_of([measure_here(make_plan(tiny_space))], "bench", known=first)
    assert again.corrections == {}
    assert again.correction != first.correction


def test_the_faster_of_two_measurements_of_an_operator_counts(result: KitResult) -> None:
    slower = replace(
        result, timings={k: Timing(2 * t.ms, 0.0, 1) for k, t in result.timings.items()}
    )
    expected = table_of([result], "bench").rows
    assert table_of([slower, result], "bench").rows == expected
    assert table_of([result, slower], "bench").rows == expected


def test_a_result_that_is_given_twice_is_refused(result: KitResult) -> None:
    first, copy = replace(result, source="a.json"), replace(result, source="b.json")
    with pytest.raises(ConfigError, match=r"a\.json and b\.json are the same run") as caught:
        table_of([first, copy], "bench")
    assert caught.value.hint == "give each result once"


@pytest.mark.parametrize("key", ["processor", "machine", "runtime_version", "provider"])
def test_results_of_different_devices_are_not_merged(result: KitResult, key: str) -> None:
    other = replace(result, device=result.device | {key: "another"}, source="b.json")
    with pytest.raises(ConfigError, match=rf"b\.json differ in {key} .*'another'"):
        table_of([result, other], "bench")


def test_results_of_different_settings_are_not_merged(result: KitResult) -> None:
    other = replace(result, settings=replace(result.settings, threads=4))
    with pytest.raises(ConfigError, match="differ in settings"):
        table_of([result, other], "bench")


# ------------------------------------------------------------------ what is not enough


def without(result: KitResult, *keys: str) -> KitResult:
    return replace(result, timings={k: t for k, t in result.timings.items() if k not in keys})


def test_operators_that_were_not_measured_are_counted_and_named(result: KitResult) -> None:
    operators: tuple[Operator, ...] = result.operators
    found = re.escape(f"2 of {len(operators)} operators were not measured, the first is")
    with pytest.raises(ConfigError, match=found + f" {operators[3].key!r}") as caught:
        table_of([without(result, "o3", "o7")], "bench")
    assert "same -o" in caught.value.hint


def test_a_correction_needs_four_networks(result: KitResult) -> None:
    gone = [f"n{number}" for number in range(9)]
    with pytest.raises(ConfigError, match="3 networks for the correction, at least 4"):
        table_of([without(result, *gone)], "bench")


def test_without_held_out_networks_the_error_is_not_known(
    tiny_space: Space, stopwatch: Any
) -> None:
    table = table_of([measure_here(make_plan(tiny_space, hold_out=0))], "bench")
    assert table.held_out.networks == 0


def test_models_that_were_never_at_full_speed_are_counted(result: KitResult) -> None:
    timings = dict(result.timings)
    timings["o1"] = timings["o1"]._replace(slow=1.4)
    assert table_of([replace(result, timings=timings)], "bench").protocol["not_at_full_speed"] == 1
