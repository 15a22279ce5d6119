"""`supernet.search(...)` from Python."""

import doctest
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.errors import ConfigError, InfeasibleError
from supernet.latency import load_target
from supernet.predict import AccuracyPairs, FittedPredictor, fit_predictor
from supernet.search import SearchResult, api
from supernet.space import (
    Space,
    body_operators,
    load_space,
    macs_of,
    operators,
    resized,
    sample,
    total_macs,
)


@pytest.fixture(scope="module")
def demo() -> Space:
    return load_space("demo")


@pytest.fixture(scope="module")
def predictor(demo: Space) -> FittedPredictor:
    genes = sample(demo, 60, np.random.default_rng(0))
    top1 = 40 + 10 * np.log10(macs_of(demo, genes) / 1e5)
    return fit_predictor(AccuracyPairs(space=demo, genes=genes, top1=top1), "ridge")


def test_the_example_of_the_docstring_runs():
    found = doctest.testmod(api)
    assert found.attempted > 5
    assert found.failed == 0


def test_the_room_can_be_called_and_looked_into():
    room: Any = importlib.import_module("supernet.search")
    assert vars(supernet)["search"] is room
    assert callable(room)
    assert room.SearchResult is SearchResult


def test_targets_with_and_without_limits(demo: Space, predictor: FittedPredictor):
    result = supernet.search(
        demo,
        {"mobile_cpu": 0.6, "x86_server_cpu": None},
        predictor=predictor,
        limits={"params": 300e3},
        fix={"resolution": [32]},
        budget=1500,
    )
    assert isinstance(result, SearchResult)
    figures = result.figures(result.best())
    assert figures["latency@mobile_cpu"] <= 0.6
    assert figures["params"] <= 300e3
    assert result.problem.axis("latency@x86_server_cpu").limit is None
    assert result.bound is not None
    assert result.bound >= figures["top1"] - 1e-9


def test_a_target_may_be_the_path_of_a_table(
    demo: Space, predictor: FittedPredictor, tmp_path: Path
):
    load_target("mobile_cpu").save(tmp_path / "mine.json")
    path = str(tmp_path / "mine.json")
    result = supernet.search(demo, targets={path: 0.6}, predictor=predictor, budget=500)
    assert result.problem.axis("latency@mobile_cpu").limit == 0.6


def test_costs_are_of_the_backbone_that_is_asked_for(demo: Space, predictor: FittedPredictor):
    wanted: dict[str, Any] = {"objectives": ["macs"], "predictor": predictor, "budget": 500}
    result = supernet.search(demo, limits={"macs": 2e6}, features=(2, 4), **wanted)
    subnet = result.subnet(result.best())
    body = body_operators(subnet, operators(demo, subnet), (2, 4))
    assert result.figures(result.best())["macs"] == total_macs(body) <= 2e6
    assert total_macs(body) < total_macs(operators(demo, subnet))
    larger = supernet.search(demo, features=(2, 4), size=(40, 24), **wanted)
    subnet = larger.subnet(larger.best())
    body = resized(body_operators(subnet, operators(demo, subnet), (2, 4)), 40, 24)
    assert larger.figures(larger.best())["macs"] == total_macs(body)
    with pytest.raises(ConfigError, match="no map of stride 3"):
        supernet.search(demo, features=(3,), **wanted)


def test_wrong_wishes(demo: Space, predictor: FittedPredictor):
    with pytest.raises(ConfigError, match="needs a predictor"):
        supernet.search(demo, objectives=["macs"])
    with pytest.raises(ConfigError, match="unknown cost 'power'"):
        supernet.search(demo, objectives=["power"], predictor=predictor)
    with pytest.raises(ConfigError, match="must be above 0 and finite"):
        supernet.search(demo, limits={"macs": float("nan")}, predictor=predictor)
    with pytest.raises(InfeasibleError, match="has macs within 10; the least is"):
        supernet.search(demo, limits={"macs": 10}, predictor=predictor)


def test_what_cannot_be_proven_is_not_certified(demo: Space, predictor: FittedPredictor):
    wanted: dict[str, Any] = {"limits": {"params": 300e3}, "objectives": ["macs"], "certify": True}
    perceptrons = fit_predictor(predictor.pairs, "mlp")
    with pytest.raises(ConfigError, match="kind 'mlp' has no additive part"):
        supernet.search(demo, predictor=perceptrons, **wanted)
    with pytest.raises(ConfigError, match="of a measured accuracy nothing can be proven"):
        supernet.search(demo, accuracy=predictor.mean, **wanted)
