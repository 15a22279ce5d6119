"""Tables predict what they say they do, and say how wrong they were."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError
from supernet.latency import Correction, HeldOut, LatencyTable, Row, fit_correction
from supernet.latency.interval import with_interval
from supernet.space import (
    Head,
    Space,
    Stage,
    Stem,
    canonical,
    count_subnets,
    decode,
    operators,
    operators_of,
    sample,
    unique,
)
from supernet.space.layout import layout_of

CORRECTION = Correction(slope=0.9, intercept_ms=0.05, per_operator_ms=-0.002, networks=12)
# ten networks, predicted 1 to 10 % too slow
HELD_OUT = HeldOut(predicted_ms=tuple(1 + k / 100 for k in range(1, 11)), measured_ms=(1.0,) * 10)


@pytest.fixture(scope="module")
def table(tiny_space: Space) -> LatencyTable:
    rng = np.random.default_rng(0)
    rows = {
        operator: Row(operator=operator, ms=float(rng.uniform(0.01, 1)), spread_ms=0.001)
        for operator in operators_of(tiny_space)
    }
    return LatencyTable(
        target="bench",
        device={"processor": "test", "runtime_version": "1.2.3"},
        protocol={"rounds": 5, "statistic": "minimum"},
        rows=rows,
        correction=CORRECTION,
        held_out=HELD_OUT,
    )


def test_a_table_comes_back_as_it_was_saved(tmp_path: Path, table: LatencyTable) -> None:
    table.save(tmp_path / "bench.json")
    again = LatencyTable.load(tmp_path / "bench.json")
    for name in ("target", "device", "precision", "threads", "batch", "protocol", "rows"):
        assert getattr(again, name) == getattr(table, name)
    assert (again.correction, again.held_out) == (CORRECTION, HELD_OUT)


def test_a_table_with_two_rows_of_an_operator_is_refused(
    tmp_path: Path, table: LatencyTable
) -> None:
    """The last one would count, whatever the order."""
    table.save(tmp_path / "bench.json")
    document = json.loads((tmp_path / "bench.json").read_text())
    document["rows"].append(document["rows"][3] | {"ms": 7.0})
    (tmp_path / "bench.json").write_text(json.dumps(document))
    key = re.escape(list(table.rows)[3].key)
    with pytest.raises(ConfigError, match=rf"bench\.json: rows: '{key}' is there 2 times"):
        LatencyTable.load(tmp_path / "bench.json")


def test_a_prediction_is_the_corrected_sum_of_the_rows(
    table: LatencyTable, tiny_space: Space, rng: np.random.Generator
) -> None:
    genes = sample(tiny_space, 20, rng)
    expected = []
    for subnet in decode(tiny_space, genes):
        found = operators(tiny_space, subnet)
        total = sum(table.rows[operator].ms for operator in found)
        expected.append(0.9 * total + 0.05 - 0.002 * len(found))
    np.testing.assert_allclose(table.predict_ms(tiny_space, genes).ms, expected, rtol=1e-12)
    np.testing.assert_allclose(table.predictor(tiny_space).ms(genes), expected, rtol=1e-12)


def test_shares_of_operators_add_up_to_the_prediction(
    table: LatencyTable, tiny_space: Space, rng: np.random.Generator
) -> None:
    genes = sample(tiny_space, 1, rng)
    shares = table.operator_ms(operators(tiny_space, decode(tiny_space, genes)[0]))
    assert shares.sum() == pytest.approx(table.predict_ms(tiny_space, genes).ms[0])
    assert (shares > 0).all()


def test_missing_rows_are_counted_and_named(table: LatencyTable, tiny_space: Space) -> None:
    found = operators_of(tiny_space)
    gone = {found[2], found[7]}
    poor = replace(table, rows={o: row for o, row in table.rows.items() if o not in gone})
    assert poor.missing(tiny_space) == [found[2], found[7]]
    with pytest.raises(ConfigError) as caught:
        poor.predictor(tiny_space)
    text = (
        f"target 'bench' has no row for 2 operators of space 'tiny', the first is {found[2].key!r}"
    )
    assert str(caught.value) == text
    assert "this_machine" in caught.value.hint
    assert table.missing(tiny_space) == []


def test_a_table_serves_every_space_of_its_operators(
    table: LatencyTable, tiny_space: Space, rng: np.random.Generator
) -> None:
    part = replace(tiny_space, name="part", resolutions=(16,))
    assert part.hash != tiny_space.hash
    assert np.isfinite(table.predict_ms(part, sample(part, 5, rng)).ms).all()


# ------------------------------------------------------------------ the fastest


@pytest.mark.parametrize(
    "correction",
    [
        Correction(),
        CORRECTION,
        Correction(slope=0.5, intercept_ms=2.0, per_operator_ms=-0.3),  # some blocks save time
        Correction(slope=0.5, intercept_ms=-100.0),  # the floor decides everywhere
    ],
    ids=["sum", "line", "deep", "floor"],
)
def test_no_subnet_of_the_whole_space_is_faster_than_the_fastest(correction: Correction) -> None:
    space = Space(
        name="countable",
        resolutions=(16, 24),
        stem=Stem(width=(8, 16)),
        stages=(
            Stage(width=(8, 16), depth=(1, 2, 3), kernel=(3, 5), expand=(2.0, 3.0), shared=True),
            Stage(block=("conv", "mbconv"), width=(16, 24), depth=(1, 2), se=(0.0, 0.5)),
        ),
        head=Head(),
    )
    num_choices = layout_of(space).num_choices
    everything = np.indices(num_choices.tolist()).reshape(len(num_choices), -1).T.astype(np.int8)
    assert len(unique(canonical(space, everything))) == count_subnets(space)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = {
            operator: Row(operator=operator, ms=float(rng.uniform(0.5, 1)), spread_ms=0.0)
            for operator in operators_of(space)
        }
        table = LatencyTable(target="bench", device={}, rows=rows, correction=correction)
        latency = table.predictor(space)
        fastest = latency.fastest()
        assert fastest.shape == (1, len(num_choices))
        least = latency.ms(canonical(space, everything)).min()
        assert latency.ms(fastest)[0] == pytest.approx(least, rel=1e-12)


# ------------------------------------------------------------------ errors


def test_the_interval_is_that_of_nine_in_ten_held_out_networks(
    table: LatencyTable, tiny_space: Space, rng: np.random.Generator
) -> None:
    prediction = table.predict_ms(tiny_space, sample(tiny_space, 4, rng))
    wrong = np.arange(1, 11) / 100
    share = np.quantile(wrong / (1 + wrong), 0.9)  # of what was predicted
    np.testing.assert_allclose(prediction.low_ms, prediction.ms * (1 - share))
    np.testing.assert_allclose(prediction.high_ms, prediction.ms * (1 + share))


def test_without_held_out_networks_there_is_no_interval(
    table: LatencyTable, tiny_space: Space, rng: np.random.Generator
) -> None:
    silent = replace(table, held_out=HeldOut())
    prediction = silent.predict_ms(tiny_space, sample(tiny_space, 4, rng))
    assert np.isfinite(prediction.ms).all()
    assert np.isnan(prediction.low_ms).all()
    assert np.isnan(prediction.high_ms).all()
    assert silent.held_out.networks == 0


def test_the_error_of_held_out_networks_by_hand() -> None:
    held_out = HeldOut(predicted_ms=(1.1, 1.9, 4.0), measured_ms=(1.0, 2.0, 4.0))
    assert held_out.networks == 3
    assert held_out.mape == pytest.approx((10 + 5 + 0) / 3)
    assert held_out.kendall == 1.0
    assert held_out.error_quantile(1.0) == pytest.approx(1 - 1 / 1.1)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e7])
def test_impossible_times_are_refused(tiny_space: Space, value: float) -> None:
    operator = operators_of(tiny_space)[0]
    with pytest.raises(ConfigError, match=r"^ms: must be from 0 to 1e7, found"):
        Row(operator=operator, ms=value, spread_ms=0.0)
    with pytest.raises(ConfigError, match=r"^spread_ms: must be from 0 to 1e7, found"):
        Row(operator=operator, ms=0.0, spread_ms=value)


@pytest.mark.parametrize("target", ["", "a\0b", "a\nb", "n" * 101])
def test_a_name_that_no_result_can_hold_is_refused(
    tmp_path: Path, table: LatencyTable, target: str
) -> None:
    replace(table, target=target).save(tmp_path / "table.json")
    with pytest.raises(ConfigError, match="target: must be 1 to 100 printed characters, found"):
        LatencyTable.load(tmp_path / "table.json")


# ------------------------------------------------------------------ correction


@given(
    seed=st.integers(0, 2**32 - 1),
    slope=st.floats(0.5, 1.5),
    intercept=st.floats(0.01, 1),
    per_operator=st.floats(-0.005, 0.005),
)
def test_the_fit_finds_known_coefficients(
    seed: int, slope: float, intercept: float, per_operator: float
) -> None:
    rng = np.random.default_rng(seed)
    sums, counts = rng.uniform(1, 5, 12), rng.integers(8, 20, 12).astype(float)
    measured = slope * sums + intercept + per_operator * counts
    found = fit_correction(sums, counts, measured)
    assert found.networks == 12
    assert found.mean_ms == pytest.approx(measured.mean())
    assert found.slope == pytest.approx(slope, abs=1e-8)
    assert found.intercept_ms == pytest.approx(intercept, abs=1e-7)
    assert found.per_operator_ms == pytest.approx(per_operator, abs=1e-8)
    np.testing.assert_allclose(found.apply(sums, counts), measured)


def test_parts_add_up_to_the_mean_network() -> None:
    whole = Correction(slope=1.1, intercept_ms=-0.2, per_operator_ms=0.01, mean_ms=3.0)
    parts = whole.of_parts()
    sums, counts = np.array([2.0]), np.array([100.0])  # takes 2.2 - .2 + 1 = 3 ms
    assert parts.intercept_ms == 0
    assert parts.apply(sums / 4, counts / 4)[0] == pytest.approx(whole.apply(sums, counts)[0] / 4)
    unknown = Correction(slope=1.1, intercept_ms=-0.2)
    assert unknown.of_parts() == replace(unknown, intercept_ms=0.0)
    assert Correction(intercept_ms=5.0, mean_ms=3.0).of_parts().slope == pytest.approx(10)


def test_the_fit_weighs_relative_errors(rng: np.random.Generator) -> None:
    sums = np.concatenate([np.full(20, 0.1), np.full(20, 100.0)])
    counts = rng.integers(8, 20, 40).astype(float)
    measured = sums * rng.uniform(0.95, 1.05, 40)
    found = fit_correction(sums, counts, measured).apply(sums, counts)
    assert np.abs(found / measured - 1)[:20].max() < 0.1  # small networks count as much


def test_a_fit_of_equal_counts_still_predicts(rng: np.random.Generator) -> None:
    sums, counts = rng.uniform(1, 5, 8), np.full(8, 11.0)  # a space without elastic depth
    measured = 1.2 * sums + 0.3
    np.testing.assert_allclose(fit_correction(sums, counts, measured).apply(sums, counts), measured)


@pytest.mark.parametrize(("share", "widened"), [(0.0, 0.0), (0.015, 0.015), (0.03, np.nan)])
def test_a_little_that_is_unlike_all_measured_widens_the_interval_by_itself(
    table: LatencyTable, share: float, widened: float
):
    """As a classifier of few classes does, in a table made with a thousand."""
    checked = replace(table, held_out=HELD_OUT)
    counts = [np.zeros(1, dtype=np.int64)] * 3
    found = with_interval(checked, np.ones(1), np.zeros(1), counts, np.full(1, share))
    expected = HELD_OUT.error_quantile(0.9) + widened
    np.testing.assert_allclose(found.high_ms, 1 + expected)
    np.testing.assert_allclose(found.low_ms, 1 - expected)
