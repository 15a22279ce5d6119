"""A network taken apart: names, shares, origins."""

import time
from dataclasses import replace

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.latency import LatencyTable, OperatorModel, Row, explain, load_target
from supernet.latency.table import ORIGINS
from supernet.space import Space, decode, largest, load_space, operators, sample


@pytest.fixture
def mixed() -> tuple[LatencyTable, Space]:
    """Rows at two of three sizes, and some blocks that only the model knows."""
    space = replace(load_space("mobilenet_v3"), resolutions=(160, 192, 224))
    model = load_target("mobile_cpu").model
    rows = {}
    for size in (160, 224):
        part = replace(space, resolutions=(size,))
        for subnet in decode(part, sample(part, 60, np.random.default_rng(0))):
            for o in operators(part, subnet):
                if o.kernel != 7:
                    rows[o] = Row(operator=o, ms=1.1 * model.ms(o), spread_ms=0)
    return LatencyTable(target="mixed", device={}, rows=rows, model=model), space


def test_origins_are_counted_alike_for_one_network_and_for_many(
    mixed: tuple[LatencyTable, Space],
) -> None:
    table, space = mixed
    genes = sample(space, 60, np.random.default_rng(1))
    prediction = table.predict_ms(space, genes)
    assert all(getattr(prediction, o).any() for o in ORIGINS)
    for index, subnet in enumerate(decode(space, genes)):
        found = explain(table, subnet, operators(space, subnet))
        assert found.ms == pytest.approx(prediction.ms[index])
        assert sum(map(found.count, ORIGINS)) == len(operators(space, subnet))
        for origin in ORIGINS:
            assert found.count(origin) == getattr(prediction, origin)[index]
        assert sum(found.share(o) for o in ORIGINS) == pytest.approx(1)
        assert sum(found.stages.values()) == pytest.approx(found.ms)
        low = prediction.low_ms[index]
        assert found.low_ms == pytest.approx(low, nan_ok=True)


def test_measured_comes_before_interpolated_before_fitted(
    mixed: tuple[LatencyTable, Space],
) -> None:
    table, _ = mixed
    known = {o: table.origin(o) for o in table.rows}
    assert set(known.values()) == {"measured"}
    row = next(o for o in table.rows if o.op == "mbconv")
    assert table.row_ms(row) == table.rows[row].ms
    between = replace(row, height=row.height + 1, width=row.width + 1)
    assert table.origin(between) == "interpolated"
    assert table.row_ms(between) == pytest.approx(1.1 * table.model.ms(between))
    seven = replace(row, kernel=7)
    assert table.origin(seven) == "fitted"
    assert table.row_ms(seven) == table.model.ms(seven)


def test_a_network_that_is_not_known_is_refused() -> None:
    space = load_space("demo")
    subnet = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    table = LatencyTable(target="empty", device={}, rows={}, model=OperatorModel())
    with pytest.raises(ConfigError, match=r"'empty' has no row for .* of subnet of space 'demo'"):
        explain(table, subnet, operators(space, subnet))


def test_a_network_that_takes_no_time_has_no_shares() -> None:
    space = load_space("demo")
    subnet = decode(space, largest(space))[0]
    own = operators(space, subnet)
    rows = {o: Row(operator=o, ms=0.0, spread_ms=0.0) for o in own}
    found = explain(LatencyTable(target="zero", device={}, rows=rows), subnet, own)
    assert (found.ms, found.share("measured"), set(found.stages.values())) == (0.0, 0.0, {0.0})


def test_without_held_out_networks_the_interval_is_that_of_the_model() -> None:
    table, space = load_target("mobile_cpu"), load_space("mobilenet_v3")
    subnet = decode(space, sample(space, 1, np.random.default_rng(0)))[0]
    found = explain(table, subnet, operators(space, subnet))
    assert found.basis == "operators"
    assert found.low_ms == pytest.approx(found.ms * (1 - table.model.error.unseen_p90 / 100))
    unlike = load_space("resnet50")
    subnet = decode(unlike, sample(unlike, 1, np.random.default_rng(0)))[0]
    assert explain(table, subnet, operators(unlike, subnet)).basis == "unknown"


def test_of_a_part_no_interval_is_known() -> None:
    space = load_space("mobilenet_v3")
    subnet = decode(space, largest(space))[0]
    listed = operators(space, subnet)
    whole = explain(load_target("mobile_cpu"), subnet, listed)
    part = explain(load_target("mobile_cpu"), subnet, listed, whole=False)
    assert np.isfinite([whole.low_ms, whole.high_ms]).all()
    assert np.isnan([part.low_ms, part.high_ms]).all()
    assert (part.ms, part.basis) == (whole.ms, "unknown")


def test_half_a_million_subnets_a_second_on_one_core() -> None:
    """CPU time, best of three: with interval and origins, not only the latency."""
    space = load_space("mobilenet_v3")
    genes = sample(space, 100_000, np.random.default_rng(0))
    predictor = load_target("mobile_cpu").predictor(space)
    predictor.predict(genes[:10])
    seconds = []
    for _ in range(3):
        start = time.process_time()
        predictor.predict(genes)
        seconds.append(time.process_time() - start)
    assert len(genes) / min(seconds) > 500_000
