"""Tables from whole networks: they find what made the times, outliers or not."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from supernet.errors import ConfigError
from supernet.latency import LatencyTable, fit_networks, read_networks
from supernet.metrics import kendall_tau, mean_absolute_percentage_error
from supernet.space import (
    Genes,
    Operator,
    OperatorSum,
    Space,
    decode,
    load_space,
    one_hot,
    operators,
    sample,
)
from tests.published import PUBLISHED, needs

GPUS = PUBLISHED / "latency" / "ofa_mbv3_gpus.npz"
needs_files = needs("latency", "ofa_mbv3_gpus.npz")

Values = npt.NDArray[np.float64]


def launches(operator: Operator) -> float:
    """A device on which small operators take the time of a call, however small."""
    return 1.0 + 5e-6 * operator.macs + 0.2 * (operator.se > 0) * operator.kernel


@pytest.fixture(scope="module")
def measured(tiny_space: Space) -> tuple[Genes, Values]:
    rng = np.random.default_rng(1)
    genes = sample(tiny_space, 300, rng)
    ms = OperatorSum(tiny_space, launches)(genes) * (1 + 0.002 * rng.standard_normal(300))
    ms[rng.permutation(300)[:30]] *= 1.4  # another program was running
    return genes, ms


@pytest.fixture(scope="module")
def table(tiny_space: Space, measured: tuple[Genes, Values]) -> LatencyTable:
    return fit_networks(tiny_space, *measured, target="own", device={"source": "a test"})


def test_networks_that_it_never_saw_are_predicted(table: LatencyTable, tiny_space: Space) -> None:
    fresh = sample(tiny_space, 200, np.random.default_rng(2))
    truth = OperatorSum(tiny_space, launches)(fresh)
    predicted = table.predictor(tiny_space).ms(fresh)
    assert mean_absolute_percentage_error(predicted, truth) < 1.0
    assert kendall_tau(predicted, truth) > 0.95


def test_its_error_is_that_of_networks_held_out(table: LatencyTable, tiny_space: Space) -> None:
    assert table.held_out.networks == 60
    assert (table.held_out.space, table.held_out.space_hash) == (tiny_space.name, tiny_space.hash)
    assert 2 < table.held_out.mape < 8  # one in ten is 29 % off by itself
    assert table.model.networks == 300
    assert table.model.source == "300 networks of a test"


def test_it_serves_a_search(table: LatencyTable, tiny_space: Space) -> None:
    genes = sample(tiny_space, 300, np.random.default_rng(3))
    predictor = table.predictor(tiny_space)
    assert predictor.ms(predictor.fastest())[0] <= predictor.ms(genes).min()
    prediction = predictor.predict(genes)
    assert prediction.basis == "networks"
    assert (prediction.low_ms < prediction.ms).all()
    assert (prediction.fitted > 0).all()


def test_shares_of_operators_add_up(table: LatencyTable, tiny_space: Space) -> None:
    genes = sample(tiny_space, 1, np.random.default_rng(4))
    shares = table.operator_ms(operators(tiny_space, decode(tiny_space, genes)[0]))
    assert shares.sum() == pytest.approx(table.predict_ms(tiny_space, genes).ms[0])


def test_it_comes_back_as_it_was_saved(table: LatencyTable, tiny_space: Space, tmp_path: Path):
    table.save(tmp_path / "own.json")
    again = LatencyTable.load(tmp_path / "own.json")
    genes = sample(tiny_space, 20, np.random.default_rng(5))
    before, after = (t.predict_ms(tiny_space, genes) for t in (table, again))
    np.testing.assert_allclose(before.ms, after.ms)
    np.testing.assert_allclose(before.low_ms, after.low_ms)


def test_operators_of_another_space_are_not_known(table: LatencyTable) -> None:
    with pytest.raises(ConfigError, match=r"'own' has no row for .* operators of space 'demo'"):
        table.predictor(load_space("demo"))


def test_too_few_networks_say_the_way_out(
    tiny_space: Space, measured: tuple[Genes, Values]
) -> None:
    genes, ms = measured
    with pytest.raises(ConfigError, match="at least 60, found 59") as caught:
        fit_networks(tiny_space, genes[:59], ms[:59], target="own", device={})
    assert "--from shipped" in caught.value.hint


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_times_that_are_none_are_refused(
    tiny_space: Space, measured: tuple[Genes, Values], wrong: float
) -> None:
    genes, ms = measured
    with pytest.raises(ConfigError, match="must be above 0"):
        fit_networks(tiny_space, genes, np.where(ms == ms[7], wrong, ms), target="own", device={})


@needs_files
@pytest.mark.parametrize("column", ["lat_titan_rtx_64", "lat_titan_rtx_1"])
def test_published_gpus_are_predicted_better_than_by_additive_fits(column: str) -> None:
    """With 500 of the 3,000 networks; `benchmarks/latency_models.py` takes 2,400."""
    space = load_space("mobilenet_v3")
    found = read_networks(GPUS, space, column)
    rest, test = slice(0, 500), slice(2000, 3000)
    table = fit_networks(space, found.genes[rest], found.ms[rest], target="gpu", device={})
    ours = mean_absolute_percentage_error(
        table.predictor(space).ms(found.genes[test]), found.ms[test]
    )
    hot = np.hstack([one_hot(space, found.genes), np.ones((len(found.ms), 1))]).astype(np.float64)
    ridge = 1e-3 * 500 * np.eye(hot.shape[1])
    for link, back in ((lambda y: y, lambda y: y), (np.log, np.exp)):
        weights = np.linalg.solve(
            hot[rest].T @ hot[rest] + ridge, hot[rest].T @ link(found.ms[rest])
        )
        plain = mean_absolute_percentage_error(back(hot[test] @ weights), found.ms[test])
        assert ours < plain
