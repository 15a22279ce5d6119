"""Timing: one result a model, in order, as often as the protocol says."""

import onnx
import pytest

from supernet.latency import Protocol, build_onnx, measure
from supernet.latency.measure import _summary
from supernet.space import Operator

SHORT = Protocol(rounds=2, burst=3, warmup=1)


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


def test_the_statistic_is_the_minimum_with_the_median_above_it() -> None:
    timing = _summary([5_000_000, 3_000_000, 4_000_000, 9_000_000, 4_500_000])
    assert timing.ms == 3.0
    assert timing.spread_ms == pytest.approx(1.5)
