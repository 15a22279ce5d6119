"""Timing on this machine: one result a model, and tables that are really measured."""

from typing import Any

import onnx
import pytest

from supernet.latency import Protocol, build_onnx, build_table, make_plan, measure, measure_here
from supernet.latency.backends.onnxruntime import OnnxRuntime
from supernet.space import Head, Operator, Space, Stage, Stem

SHORT = Protocol(rounds=2, least=2, burst=3, visit_ms=0.0, warmup=1)
THREE = Space(
    name="three",
    resolutions=(8,),
    stem=Stem(width=(8,)),
    stages=(Stage(width=(8, 16, 24), depth=(1,), expand=(2.0,)),),
    head=Head(),
    num_classes=2,
)


def conv(channels: int, size: int) -> bytes:
    operator = Operator(
        op="conv", in_channels=channels, out_channels=channels, kernel=3, height=size, width=size
    )
    return build_onnx([operator])


def test_a_larger_model_takes_longer() -> None:
    small, large, again = measure([conv(8, 8), conv(64, 48), conv(8, 8)], SHORT)
    assert large.ms > 5 * small.ms  # 2,300 times the multiply-adds
    assert large.ms > 5 * again.ms
    assert min(small.ms, small.spread_ms, large.spread_ms) >= 0


def test_every_visit_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    measure([conv(8, 8)] * 3, SHORT, progress=lambda *v: told.append(v), what="operators")
    assert told == [(done, 6, "timing operators") for done in range(1, 7)]


def test_an_input_size_that_may_vary_is_taken_as_one() -> None:
    model = onnx.load_from_string(conv(8, 8))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    [timing] = measure([model.SerializeToString()], SHORT)
    assert timing.ms > 0


def test_nothing_to_measure_takes_no_time() -> None:
    assert measure([]) == []


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_small_space_is_really_measured(precision: str) -> None:
    backend = OnnxRuntime(precision=precision)
    result = measure_here(make_plan(THREE, fit=4, hold_out=3), backend, protocol=SHORT)
    assert len(result.timings) == len(result.operators) + 7
    assert all(timing.ms > 0 for timing in result.timings.values())
    assert (result.settings.precision, result.settings.backend) == (precision, "onnxruntime")
    assert "thread CPU time" in result.protocol["statistic"]


def test_a_table_of_this_machine_is_really_built() -> None:
    table = build_table(THREE, fit_networks=4, check_networks=3, protocol=SHORT)
    assert all(row.ms > 0 for row in table.rows.values())
    assert all(ms > 0 for ms in table.held_out.measured_ms)


# ------------------------------------------------------------------ interrupted


def test_an_interrupted_run_goes_on_where_it_stopped(
    tiny_space: Space, stopwatch: Any, tmp_path: Any
) -> None:
    plan, journal = make_plan(tiny_space, [16], fit=4, hold_out=2), tmp_path / "a.part"

    def stop(done: int, total: int, text: str) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_here(plan, journal=journal, progress=stop)
    before = stopwatch.loads
    result = measure_here(plan, journal=journal)
    models = len(plan.operators) + len(plan.networks)
    gauges = 2
    assert stopwatch.loads - before == 2 * models - 30 + gauges
    assert not journal.exists()
    assert result.events == ("continued after 30 visits",)
    assert {key: t.visits for key, t in result.timings.items()} == dict.fromkeys(result.timings, 2)


def test_the_journal_of_another_runtime_is_begun_anew(
    tiny_space: Space, stopwatch: Any, tmp_path: Any
) -> None:
    journal = tmp_path / "a.part"
    with pytest.raises(ZeroDivisionError):
        build_table(tiny_space, journal=journal, progress=lambda done, *_: 1 // (done - 5))
    stopwatch.version = "1.2.4"
    table = build_table(tiny_space, journal=journal)
    assert table.device["runtime_version"] == "1.2.4"
    assert table.missing(tiny_space) == []
