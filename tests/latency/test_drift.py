"""Networks timed beside those by which a table was checked."""

from dataclasses import replace

import numpy as np
import pytest

from supernet.latency import (
    build_table,
    drift,
    make_plan,
    measure_drift_corrected,
    measure_here,
    table_of,
)
from supernet.latency.kit.graph import build_onnx
from supernet.latency.kit.plan import HOLD_OUT
from supernet.latency.kit.protocol import Protocol, Timing
from supernet.space import Space, decode, operators, sample

QUICK = Protocol(rounds=2, least=2, burst=4, visit_ms=0.5)


def test_a_machine_that_is_slower_now_is_told_by_the_networks_of_the_table(
    tiny_space: Space, monkeypatch: pytest.MonkeyPatch
):
    space = tiny_space
    table = build_table(space, protocol=QUICK)
    genes = sample(space, 3, np.random.default_rng(0))
    models = [build_onnx(operators(space, subnet)) for subnet in decode(space, genes)]
    seen: list[int] = []

    def slowed(given: list[bytes], *args: object, **kwargs: object) -> list[Timing]:
        """All models take 1.5 times what the table's networks took then, ours 3 ms."""
        seen.append(len(given))
        then = np.sort(table.held_out.measured_ms)
        chosen = then[np.linspace(0, len(then) - 1, len(given) - 3).round().astype(int)]
        times = [3.0, 3.0, 3.0, *chosen.tolist()]
        return [Timing(1.5 * ms, 0.0) for ms in times]

    monkeypatch.setattr(drift, "measure", slowed)
    np.testing.assert_allclose(measure_drift_corrected(table, space, models), 3.0)
    assert seen == [3 + 7]
    foreign = replace(table, held_out=replace(table.held_out, space_hash="other"))
    np.testing.assert_allclose(measure_drift_corrected(foreign, space, models), 4.5)


def test_times_agree_with_the_table(tiny_space: Space):
    space = tiny_space
    table = build_table(space, protocol=QUICK)
    anchors, then_ms = drift._anchors(table, space)
    models = [build_onnx(found) for found in anchors]
    now_ms = measure_drift_corrected(table, space, models, QUICK)
    assert np.median(np.abs(now_ms / then_ms - 1)) < 0.25


def test_networks_of_a_table_have_the_sizes_that_it_measured(tiny_space: Space):
    """Also where these are none of the space, as of a table for backbones."""
    plan = make_plan(tiny_space, [32, 40], fit=4, hold_out=8)
    table = table_of([measure_here(plan, protocol=QUICK)], "at_40")
    assert drift._sizes(table) == [32, 40]
    assert drift._sizes(replace(table, protocol={})) is None
    full = make_plan(tiny_space, [32, 40])
    anchors, _ = drift._anchors(table, tiny_space)
    assert sum(network.use == HOLD_OUT for network in full.networks) == 20
    assert {found[0].height for found in anchors} <= {32, 40}
    assert len(anchors) == 7


@pytest.mark.parametrize(("fit", "hold_out"), [(4, 8), (16, 20), (12, 20)])
def test_networks_of_a_table_are_those_that_it_measured(tiny_space: Space, fit: int, hold_out: int):
    """However many were drawn; and none are taken where they cannot be drawn again."""
    plan = make_plan(tiny_space, fit=fit, hold_out=hold_out)
    result = measure_here(plan, protocol=QUICK)
    table = table_of([result], "here")
    anchors, then_ms = drift._anchors(table, tiny_space)
    assert len(anchors) == 7
    times = [(found, timing.ms) for found, timing in result.network_timings(HOLD_OUT)]
    assert all(
        any(ms == then and list(own) == list(found) for found, ms in times)
        for own, then in zip(anchors, then_ms)
    )
    protocol = {key: value for key, value in table.protocol.items() if key != "networks"}
    older = drift._anchors(replace(table, protocol=protocol), tiny_space)[0]
    assert len(older) == (7 if (fit, hold_out) == (12, 20) else 0)
