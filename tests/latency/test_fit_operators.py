"""Models of operators: fitted to what was measured, honest about what was not."""

from collections.abc import Callable
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError
from supernet.latency import (
    LatencyTable,
    OperatorModel,
    Row,
    fit_operators,
    fit_work_model,
    load_target,
    with_work_model,
)
from supernet.latency.ofa import read_ofa_tables
from supernet.latency.targets import shipped_targets
from supernet.latency.work import WORK_TERMS
from supernet.space import (
    Operator,
    Space,
    load_space,
    operators_of,
    sample,
)
from tests.published import PUBLISHED, needs
from tests.shipped import SHIPPED

needs_files = needs()
FITTED = ("mobile_cpu", "mobile_cpu_pixel1")


@pytest.fixture(scope="module")
def truth(tiny_space: Space) -> dict[Operator, float]:
    """Operators of two spaces, whose times follow the terms exactly."""
    rng = np.random.default_rng(3)
    model = OperatorModel(coefficients={n: float(rng.uniform(0.05, 1)) for n in WORK_TERMS})
    found = [*operators_of(tiny_space), *operators_of(load_space("demo"))]
    return {operator: model.ms(operator) for operator in found}


def test_times_that_follow_the_terms_are_found_again(truth: dict[Operator, float]) -> None:
    model = fit_work_model(truth, source="made up")
    for operator, ms in truth.items():
        assert model.ms(operator) == pytest.approx(ms, rel=1e-3)
    assert model.error.rows_mape < 0.1
    assert (model.operators, model.source) == (len(truth), "made up")
    assert all(value >= 0 for value in model.coefficients.values())


def test_work_that_was_not_seen_is_not_known_without_a_prior(truth: dict[Operator, float]) -> None:
    plain = {o: ms for o, ms in truth.items() if not o.se}
    gated = next(o for o in truth if o.se)
    model = fit_work_model(plain)
    assert not model.knows(gated)
    with pytest.raises(KeyError):
        model.ms(gated)


def test_work_that_was_not_seen_is_borrowed_at_the_ratio_of_the_devices(
    truth: dict[Operator, float],
) -> None:
    prior = fit_work_model(truth)
    slower = {o: 3 * ms for o, ms in truth.items() if not o.se}
    gated = next(o for o in truth if o.se)
    model = fit_work_model(slower, prior=prior)
    assert model.borrowed == ("squeeze", "squeeze_weights")
    assert model.ms(gated) == pytest.approx(3 * truth[gated], rel=0.02)
    assert model.extrapolates(gated)
    assert not model.extrapolates(next(iter(slower)))


def test_a_time_of_zero_is_a_part_of_another_row(truth: dict[Operator, float]) -> None:
    times = {o: 0.0 if o.op == "pool" else ms for o, ms in truth.items()}
    model = fit_work_model(times)
    assert model.coefficients["mean"] == 0
    pool = next(o for o in truth if o.op == "pool")
    assert model.ms(pool) == 0
    assert not model.extrapolates(pool)


def test_too_few_operators_are_refused(truth: dict[Operator, float]) -> None:
    few = dict(list(truth.items())[:39])
    with pytest.raises(ConfigError, match="at least 40 measured operators, found 39"):
        fit_work_model(few)
    rows = {o: Row(operator=o, ms=ms, spread_ms=0) for o, ms in few.items()}
    table = LatencyTable(target="few", device={}, rows=rows)
    assert with_work_model(table) is table


def test_other_kinds_activations_and_sizes_are_said_to_be_unlike() -> None:
    model = load_target("mobile_cpu").model
    block = Operator(
        op="mbconv", in_channels=40, mid_channels=120, out_channels=40, kernel=5, act="relu",
        shortcut="identity", height=28, width=28,
    )  # fmt: skip
    assert not model.extrapolates(block)
    assert not model.extrapolates(replace(block, act="relu6"))  # takes the same time
    assert model.extrapolates(replace(block, act="swish"))
    assert model.extrapolates(replace(block, height=2, width=2))
    assert model.extrapolates(replace(block, op="bottleneck"))


# ------------------------------------------------------------------ shipped


@pytest.mark.parametrize("target", FITTED)
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_serve_every_space(target: str, name: str) -> None:
    table, space = load_target(target), load_space(name)
    ends = tuple(dict.fromkeys([space.resolutions[0], space.resolutions[-1]]))
    space = replace(space, resolutions=ends)  # those between take time and tell nothing new
    prediction = table.predict_ms(space, sample(space, 500, np.random.default_rng(0)))
    assert (prediction.ms > 0).all()
    assert (prediction.fitted > 0).all()
    assert not prediction.measured.any()


@pytest.mark.parametrize("target", FITTED)
def test_shipped_models_stay_sane_where_they_never_saw_anything(target: str) -> None:
    """No more than ten times as dear, a multiply-add, as a block in the middle of a network."""
    model = load_target(target).model
    usual = Operator(
        op="mbconv", in_channels=80, mid_channels=240, out_channels=80, kernel=3, act="relu6",
        height=14, width=14,
    )  # fmt: skip
    per_mac = model.ms(usual) / usual.macs
    size: dict[str, Any] = {"height": 112, "width": 112}
    unseen = [
        Operator(op="conv", in_channels=3, out_channels=64, kernel=7, stride=2, act="relu", **size),
        Operator(
            op="bottleneck", in_channels=256, mid_channels=128, out_channels=256, kernel=3,
            groups=32, act="relu", height=28, width=28,
        ),
        Operator(
            op="bottleneck", in_channels=256, mid_channels=64, out_channels=256, kernel=3,
            act="relu", shortcut="identity", height=56, width=56,
        ),
    ]  # fmt: skip
    for operator in unseen:
        assert model.extrapolates(operator)
        assert 0.2 < model.ms(operator) / operator.macs / per_mac < 10
    pooling = Operator(op="maxpool", in_channels=64, out_channels=64, kernel=3, stride=2, **size)
    assert 0 <= model.ms(pooling) < model.ms(unseen[0])


def test_the_error_of_the_shipped_models_is_stated() -> None:
    assert set(FITTED) <= set(shipped_targets())
    error = load_target("mobile_cpu").model.error
    assert 0 < error.rows_mape < 1.7  # the plain fit of 17 terms reaches 2.9
    assert 0 < error.networks_mape < error.networks_p90 < error.unseen_p90 < 3
    assert load_target("mobile_cpu_pixel1").model.error.networks == 1000


@pytest.mark.parametrize("target", ["x86_server_cpu", "x86_server_cpu_int8"])
def test_the_error_of_a_shipped_model_is_that_of_its_rows(target: str) -> None:
    table = load_target(target)
    found = fit_work_model({operator: row.ms for operator, row in table.rows.items()}).error
    assert asdict(found) == pytest.approx(asdict(table.model.error), rel=1e-3)


def test_nine_in_ten_sums_are_within_a_share_of_what_is_predicted(
    truth: dict[Operator, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = np.linspace(1, 2, 11)
    sums = np.stack([measured, np.full(11, 2.0), np.full(11, 4.0)])
    monkeypatch.setattr(fit_operators, "_sums", lambda *_: sums)
    error = fit_work_model(truth).error
    assert error.networks_p90 == pytest.approx(45)  # of 2 ms: 1.1 to 2 ms
    assert error.unseen_p90 == pytest.approx(72.5)  # of 4 ms: 1.1 to 2 ms
    assert error.networks_mape == pytest.approx(100 * np.mean(2 / measured - 1))


@needs_files
def test_the_shipped_files_are_what_the_published_tables_give(
    load_benchmark: Callable[[str], ModuleType],
) -> None:
    module = load_benchmark("shipped_tables")
    for table in module.make():
        shipped = load_target(table.target)
        assert not module.differs(shipped.model, table.model)
        error = asdict(table.model.error)
        assert asdict(shipped.model.error) == pytest.approx(error, rel=1e-3)
        assert shipped.rows == {}


@needs_files
def test_published_networks_of_the_same_chip_are_predicted() -> None:
    """LG G8 and Note10 share their chip; the figures are rounded to whole milliseconds."""
    from supernet.space.net_config import read_net_config, read_run_config

    model = load_target("mobile_cpu").model
    folders = sorted((PUBLISHED / "ofa" / "specialized").glob("LG-G8_lat-*"))
    assert len(folders) == 4
    for folder in folders:
        size = read_run_config(folder / "run.config")
        ms = sum(map(model.ms, read_net_config(folder / "net.config", size)))
        published = int(folder.name.split("lat-")[1].split("ms")[0])
        assert abs(ms - published) < 0.05 * published + 0.5


@needs_files
def test_the_published_rows_come_before_the_model() -> None:
    rows = read_ofa_tables([PUBLISHED / "ofa" / "note10"], "note10")
    table = with_work_model(rows)
    space = replace(load_space("mobilenet_v3_w1.2"), resolutions=(192,))
    genes = sample(space, 50, np.random.default_rng(0))
    np.testing.assert_allclose(table.predict_ms(space, genes).ms, rows.predict_ms(space, genes).ms)
    narrow = load_space("mobilenet_v3")
    assert rows.unknown(narrow)
    assert not table.unknown(narrow)
