"""A new device from ten networks and the tables of others."""

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.latency import LatencyTable, OperatorModel, fit_networks, load_target, transfer
from supernet.metrics import kendall_tau, mean_absolute_percentage_error
from supernet.space import OperatorSum, Space, load_space, sample


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space("mobilenet_v3")


@pytest.fixture(scope="module")
def known() -> list[LatencyTable]:
    return [load_target("mobile_cpu"), load_target("mobile_cpu_pixel1")]


@pytest.mark.parametrize(
    ("first", "second", "offset"),
    [pytest.param(0.5, 0.0, 0.0, marks=pytest.mark.slow), (0.0, 2.0, 0.0), (1.0, 0.3, 5.0)],
)
def test_a_mixture_of_known_devices_is_found(
    space: Space, known: list[LatencyTable], first: float, second: float, offset: float
) -> None:
    rng = np.random.default_rng(0)
    genes = sample(space, 410, rng)
    sums = [OperatorSum(space, table.model.ms)(genes) for table in known]
    ms = first * sums[0] + second * sums[1] + offset
    noisy = ms[:10] * (1 + 0.01 * rng.standard_normal(10))
    found = transfer(space, genes[:10], noisy, known=known, target="new", device={})
    predicted = found.predictor(space).ms(genes[10:])
    assert mean_absolute_percentage_error(predicted, ms[10:]) < 2
    assert kendall_tau(predicted, ms[10:]) > 0.95
    assert found.held_out.networks == 10
    assert found.held_out.mape < 3
    assert found.correction.networks == 10
    assert found.model.source.startswith("mixed from: 450 rows")


def test_the_new_table_serves_other_spaces(space: Space, known: list[LatencyTable]) -> None:
    genes = sample(space, 10, np.random.default_rng(0))
    ms = OperatorSum(space, known[0].model.ms)(genes)
    found = transfer(space, genes, ms, known=known, target="new", device={})
    other = load_space("proxyless")
    fresh = sample(other, 20, np.random.default_rng(1))
    np.testing.assert_allclose(
        found.predict_ms(other, fresh).ms, known[0].predict_ms(other, fresh).ms, rtol=1e-3
    )


def test_what_is_known_does_not_depend_on_the_order_of_the_tables(space: Space) -> None:
    """The phone's table has no operator as small as those of the demo, the server's has."""
    tables = [load_target("mobile_cpu"), load_target("x86_server_cpu")]
    genes = sample(space, 10, np.random.default_rng(0))
    ms = np.sum([OperatorSum(space, table.model.ms)(genes) for table in tables], axis=0)
    one, other = (
        transfer(space, genes, ms, known=known, target="new", device={})
        for known in (tables, tables[::-1])
    )
    assert one.model.kinds == other.model.kinds
    kinds = [table.model.kinds["mbconv k3"] for table in tables]
    assert kinds[1][0] < kinds[0][0]
    assert one.model.kinds["mbconv k3"] == (kinds[1][0], max(kinds[0][1], kinds[1][1]))
    demo = load_space("demo")
    for table in (one, other):
        assert np.isfinite(
            table.predict_ms(demo, sample(demo, 5, np.random.default_rng(1))).low_ms
        ).all()


def test_work_that_one_of_the_tables_knows_is_not_borrowed(space: Space) -> None:
    tables = [load_target("mobile_cpu_pixel1"), load_target("mobile_cpu")]
    assert "gate" in tables[0].model.borrowed
    assert "gate" not in tables[1].model.borrowed
    genes = sample(space, 10, np.random.default_rng(0))
    ms = np.sum([OperatorSum(space, table.model.ms)(genes) for table in tables], axis=0)
    found = transfer(space, genes, ms, known=tables, target="new", device={})
    assert found.model.borrowed == ()
    assert found.model.activations == ("hard_swish", "none", "relu")


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf, 1e9])
def test_what_are_no_latencies_of_the_networks_is_refused(
    space: Space, known: list[LatencyTable], wrong: float
) -> None:
    genes = sample(space, 70, np.random.default_rng(0))
    ms = np.where(np.arange(70) == 3, wrong, 5.0)
    with pytest.raises(ConfigError, match="latencies must be above 0 and below 1e7 ms"):
        transfer(space, genes, ms, known=known, target="new", device={})
    with pytest.raises(ConfigError, match="latencies must be above 0 and below 1e7 ms"):
        fit_networks(space, genes, ms, target="new", device={})
    for other in (ms[:-1], ms[:, None]):
        with pytest.raises(ConfigError, match="one latency for each of 70 networks, found the sha"):
            transfer(space, genes, other, known=known, target="new", device={})
        with pytest.raises(ConfigError, match="one latency for each of 70 networks, found the sha"):
            fit_networks(space, genes, other, target="new", device={})


def test_too_few_networks_or_tables_are_refused(space: Space, known: list[LatencyTable]) -> None:
    genes = sample(space, 5, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="needs at least 4 networks, found 3"):
        transfer(space, genes[:3], np.ones(3), known=known, target="new", device={})
    empty = LatencyTable(target="empty", device={}, rows={}, model=OperatorModel())
    with pytest.raises(ConfigError, match="none of the tables empty knows all operators"):
        transfer(space, genes, np.ones(5), known=[empty], target="new", device={})
