"""Building a table: rows, correction, and an error from networks that had no part in it."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from supernet.latency import Protocol, build_onnx, build_table, describe_device
from supernet.latency.build import _spread_subnets
from supernet.space import Head, Space, Stage, Stem, decode, operators, operators_of


def test_every_operator_of_the_space_gets_a_row(tiny_space: Space, stopwatch: Any) -> None:
    table = build_table(tiny_space, target="bench")
    assert list(table.rows) == operators_of(tiny_space)
    for operator in list(table.rows)[::20]:
        assert table.rows[operator].ms == stopwatch.by_weights(build_onnx([operator]))
        assert table.rows[operator].spread_ms == 0.001
    assert table.missing(tiny_space) == []
    assert table.target == "bench"


def test_the_error_is_found_on_networks_without_part_in_the_fit(
    tiny_space: Space, stopwatch: Any
) -> None:
    table = build_table(tiny_space, fit_networks=6, check_networks=9)
    assert (table.correction.networks, table.held_out.networks) == (6, 9)
    genes = _spread_subnets(tiny_space, 15)
    check = genes[6:]
    np.testing.assert_allclose(table.held_out.predicted_ms, table.predictor(tiny_space).ms(check))
    models = [build_onnx(operators(tiny_space, s)) for s in decode(tiny_space, genes)]
    assert stopwatch.asked["whole networks"] == models
    assert table.held_out.measured_ms == tuple(map(stopwatch.by_weights, models[6:]))


def test_times_that_add_up_are_predicted_exactly(tiny_space: Space, stopwatch: Any) -> None:
    """Each model costs 0.01 ms and its weights: a network of n costs (n - 1) x 0.01 less."""
    table = build_table(tiny_space)
    assert table.correction.slope == pytest.approx(1)
    assert table.correction.intercept_ms == pytest.approx(0.01)
    assert table.correction.per_operator_ms == pytest.approx(-0.01)
    assert table.held_out.mape == pytest.approx(0, abs=1e-4)


def test_a_wrong_stopwatch_shows_in_the_error(
    tiny_space: Space, stopwatch: Any, rng: np.random.Generator
) -> None:
    stopwatch.ms = lambda model: stopwatch.by_weights(model) * rng.uniform(0.5, 1.5)
    table = build_table(tiny_space)
    assert table.held_out.mape > 3


def test_known_rows_are_not_measured_again(tiny_space: Space, stopwatch: Any) -> None:
    part = replace(tiny_space, resolutions=(16,))
    known = build_table(part)
    stopwatch.asked.clear()
    table = build_table(tiny_space, known=known)
    measured = len(stopwatch.asked["operators"])
    assert measured == len(operators_of(tiny_space)) - len(operators_of(part)) > 0
    assert {o: table.rows[o] for o in known.rows} == known.rows


def test_the_protocol_is_kept_and_whole_networks_are_visited_twice_as_often(
    tiny_space: Space, stopwatch: Any
) -> None:
    protocol = Protocol(rounds=3, burst=2, warmup=1)
    table = build_table(tiny_space, protocol=protocol)
    assert table.protocol == asdict(protocol)
    assert stopwatch.protocols["operators"] == protocol
    assert stopwatch.protocols["whole networks"].rounds == 6


def test_the_device_names_processor_runtime_and_date(tiny_space: Space, stopwatch: Any) -> None:
    device = build_table(tiny_space).device
    assert device["runtime_version"] == onnxruntime.__version__
    assert device["measured_at"].endswith("+00:00")
    assert describe_device().items() <= device.items()
    assert all(device.values())


def test_a_small_space_is_really_measured() -> None:
    space = Space(
        name="three",
        resolutions=(8,),
        stem=Stem(width=(8,)),
        stages=(Stage(width=(8, 16, 24), depth=(1,), expand=(2.0,)),),
        head=Head(),
        num_classes=2,
    )
    protocol = Protocol(rounds=1, burst=3, warmup=1)
    table = build_table(space, fit_networks=4, check_networks=3, protocol=protocol)
    assert all(row.ms > 0 for row in table.rows.values())
    assert all(ms > 0 for ms in table.held_out.measured_ms)
