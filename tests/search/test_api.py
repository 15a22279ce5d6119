"""`supernet.search(...)` from Python."""

import doctest
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.errors import ConfigError, InfeasibleError
from supernet.latency import load_target
from supernet.predict import AccuracyPairs, FittedPredictor, fit_predictor
from supernet.search import (
    Accuracy,
    Budget,
    Problem,
    Rung,
    SearchResult,
    api,
    macs,
    run_search,
)
from supernet.search.algorithms.aging import AgingEvolution
from supernet.search.algorithms.grid import Grid
from supernet.search.algorithms.random import Random
from supernet.space import (
    Domain,
    Genes,
    Space,
    body_operators,
    decode,
    load_space,
    macs_of,
    operators,
    resized,
    sample,
    smallest,
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


@pytest.mark.parametrize(
    ("targets", "limits"),
    [
        ({"mobile_cpu": 0.3}, {"latency": 10.0}),
        ({"mobile_cpu": 0.3}, {"latency@mobile_cpu": 10.0}),
        (["mobile_cpu"], {"latency": 10.0, "latency@mobile_cpu": 0.3}),
    ],
)
def test_one_latency_is_limited_once(
    demo: Space, predictor: FittedPredictor, targets: Any, limits: dict[str, float]
):
    with pytest.raises(ConfigError, match="twice"):
        supernet.search(demo, targets, limits=limits, predictor=predictor, budget=100)


def test_a_space_that_can_be_scored_whole_is(demo: Space, predictor: FittedPredictor):
    fix = {"kernel": [3], "stage2.depth": [1], "stage3.depth": [1, 2, 3]}
    count = Domain.of(demo, fix).count
    wanted: dict[str, Any] = {"objectives": ["macs"], "predictor": predictor, "fix": fix}
    found = supernet.search(demo, **wanted)
    assert len(found) == count
    every = Domain.of(demo, fix).everything()
    assert found.figures(found.best())["top1"] == pytest.approx(predictor.mean(every).max())
    fewer = supernet.search(demo, **wanted, budget=count // 2)
    assert len(fewer) <= count // 2
    hurried = supernet.search(demo, **wanted, seconds=1e-6)
    assert len(hurried) < count


def test_no_budget_is_none_and_not_the_usual_one(demo: Space, predictor: FittedPredictor):
    with pytest.raises(ConfigError, match="budget"):
        supernet.search(demo, objectives=["macs"], predictor=predictor, budget=0)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"budget": 2.5}, "budget: must be a whole number, found 2.5"),
        ({"seed": -1}, "seed: must be 0 or more, found -1"),
        ({"workers": "2"}, "workers: must be a whole number, found '2'"),
        ({"seconds": float("nan")}, "seconds: must be above 0, found nan"),
        ({"fix": {"kernel": 3}}, "fix: kernel: must be a list, found 3"),
        ({"fix": {"kernel": [[3]]}}, r"fix: kernel: \[0\]: must be a number, found \[3\]"),
        ({"limits": {"params": "5M"}}, "limits: params: must be a number, found '5M'"),
        ({"limits": ["params"]}, "limits: must be a dictionary"),
        ({"limits": {"params": 10**400}}, "limits: params: must be below 1e308"),
        ({"objectives": "macs"}, "objectives: must be a list, found 'macs'"),
        ({"targets": "mobile_cpu"}, "targets: must be a list, found 'mobile_cpu'"),
        ({"targets": {"mobile_cpu": "5ms"}}, "targets: mobile_cpu: must be a number, found '5ms'"),
        ({"features": 8}, "features: must be a list, found 8"),
        ({"features": [8], "size": 32}, "size: must be a list, found 32"),
        ({"algorithm": 5}, "algorithm: must be a name, a factory or a sampler of Optuna, found 5"),
        ({"ladder": [0.5]}, r"ladder: \[0\]: must be of type Rung, found 0.5"),
        ({"start": "subnet.json"}, "start: must be a list, found 'subnet.json'"),
        ({"storage": 3}, "storage: must be of type StudyPlace or str, found 3"),
        ({"certify": "yes"}, "certify: must be True or False, found 'yes'"),
        ({"folder": 3}, "folder: must be of type PathLike or str, found 3"),
        ({"progress": None}, "progress: must be a function, found None"),
        ({"predictor": np.mean}, "predictor: must be of type AccuracyPredictor or Path or str"),
        ({"accuracy": 71.0}, "accuracy: must be a function, found 71.0"),
        ({"space_or_run": "demo"}, "space_or_run: must be of type Space or Run, found 'demo'"),
    ],
)
def test_an_argument_of_another_type_is_refused_by_name(
    demo: Space, predictor: FittedPredictor, wrong: dict[str, Any], text: str
):
    given: dict[str, Any] = {
        "space_or_run": demo,
        "objectives": ["macs"],
        "predictor": predictor,
    } | wrong
    with pytest.raises(ConfigError, match=f"^{text}"):
        supernet.search(**given)


@pytest.mark.parametrize("factory", [lambda _: None, repr])
def test_a_factory_that_makes_no_algorithm_is_refused(
    demo: Space, predictor: FittedPredictor, factory: Any
):
    with pytest.raises(ConfigError, match="algorithm: the factory must make what has ask and tell"):
        supernet.search(demo, algorithm=factory, objectives=["macs"], predictor=predictor)


def test_numbers_of_other_kinds_are_what_they_say(
    demo: Space, predictor: FittedPredictor, tmp_path: Path
):
    wanted: dict[str, Any] = {"objectives": ["macs"], "predictor": predictor}
    plain = supernet.search(demo, budget=300, seed=1, fix={"kernel": [3, 5]}, **wanted)
    fix = {"kernel": np.array([3.0, 5.0])}
    numbers: dict[str, Any] = {"budget": 3e2, "seed": np.int64(1), "fix": fix}
    other = supernet.search(demo, folder=tmp_path / "kept", **numbers, **wanted)
    assert (plain.genes == other.genes).all()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            71.0,
            r"one number for each of 1 subnets, shape \(1,\), found 71.0 \(float\) of shape \(\)",
        ),
        (np.zeros((1, 1)), r"of shape \(1, 1\)"),
        (np.zeros(5), r"of shape \(5,\)"),
        (None, "must be numbers as NumPy has them, found None"),
        (["good"], r"must be numbers as NumPy has them, found \['good'\]"),
        (np.array([1 + 2j]), "must be numbers as NumPy has them"),
        ([10**400], "must be numbers as NumPy has them"),
    ],
)
def test_what_is_no_accuracy_for_each_subnet_ends_the_search(
    demo: Space, predictor: FittedPredictor, given: Any, text: str, workers: int
):
    wanted: dict[str, Any] = {"objectives": ["macs"], "budget": 9, "workers": workers}
    with pytest.raises(ConfigError, match=f"^accuracy: .*{text}"):
        supernet.search(demo, accuracy=lambda _: given, **wanted)
    rung = Rung(name="cheap", function=lambda _: given, share=0.1)
    with pytest.raises(ConfigError, match=f"^cheap: .*{text}"):
        supernet.search(demo, accuracy=predictor.mean, ladder=[rung], **wanted)


def test_a_rung_may_fail_as_the_accuracy_may(demo: Space, predictor: FittedPredictor):

    def cheap(genes: Genes) -> Any:
        if genes[0, 0] == 0:
            raise ValueError("no such size")
        return np.where(genes[:, 1] == 0, np.inf, predictor.mean(genes))

    rung = Rung(name="cheap", function=cheap, share=0.1)
    with pytest.warns(RuntimeWarning, match="a measurement failed.*no such size"):
        result = supernet.search(
            demo, objectives=["macs"], accuracy=predictor.mean, ladder=[rung], budget=9
        )
    failed = (result.genes[:, 0] == 0) | (result.genes[:, 1] == 0)
    assert failed.any()
    assert np.isnan(result.columns["cheap"][failed]).all()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"name": 3}, "name: must be a text"),
        ({"function": 3}, "function: must be a function"),
        ({"share": "a third"}, "share: must be a number"),
    ],
)
def test_a_rung_of_other_types_is_refused(wrong: dict[str, Any], text: str):
    given: dict[str, Any] = {"name": "cheap", "function": np.mean, "share": 0.1}
    with pytest.raises(ConfigError, match=text):
        Rung(**given | wrong)


def test_a_budget_and_a_limit_of_other_types_are_refused(demo: Space, predictor: FittedPredictor):
    with pytest.raises(ConfigError, match="scored: must be a whole number, found '5'"):
        Budget(scored="5")  # type: ignore[arg-type]  # as users do
    objectives = (Accuracy(function=predictor.mean), macs(demo))
    domain = Domain.of(demo)
    with pytest.raises(ConfigError, match="limits: macs: must be above 0 and finite, found '5M'"):
        Problem(domain=domain, objectives=objectives, limits={"macs": "5M"})  # type: ignore[dict-item]  # as users do
    problem = Problem(domain=domain, objectives=objectives)
    with pytest.raises(ConfigError, match="seed: must be 0 or more, found -1"):
        run_search(problem, seed=-1)


def test_a_subnet_of_a_result_is_asked_for_by_an_index_that_there_is(
    demo: Space, predictor: FittedPredictor
):
    result = supernet.search(demo, objectives=["macs"], predictor=predictor, budget=60)
    assert result.pick(1) == result.pick("1") == result.front[0]
    asks: tuple[Callable[[Any], Any], ...] = (result.subnet, result.figures)
    for ask in asks:
        with pytest.raises(ConfigError, match="index: must be below 60, the subnets scored"):
            ask(60)
        with pytest.raises(ConfigError, match="index: must be a whole number, found '1'"):
            ask("1")


@pytest.mark.parametrize("folder", [None, "kept"])
def test_what_is_not_finite_is_no_measurement(demo: Space, tmp_path: Path, folder: str | None):

    def accuracy(genes: Genes) -> Any:
        top1 = 40 + 10 * np.log10(macs_of(demo, genes) / 1e5)
        return np.where(genes[:, 0] == 0, np.inf, top1)

    result = supernet.search(
        demo,
        objectives=["macs"],
        accuracy=accuracy,
        budget=20,
        algorithm="random",
        folder=tmp_path / folder if folder else None,
    )
    assert result.genes[result.best()][0] != 0


def test_what_a_search_cannot_begin_with(demo: Space, predictor: FittedPredictor):
    wanted: dict[str, Any] = {"objectives": ["macs"], "budget": 300}
    other = load_space("demo_cells")
    with pytest.raises(ConfigError, match=r"is of space 'demo' .*, the search is of 'demo_cells'"):
        supernet.search(other, predictor=predictor, **wanted)
    with pytest.raises(ConfigError, match="workers: must be 1 or more, found 0"):
        supernet.search(demo, accuracy=predictor.mean, workers=0, **wanted)
    small = decode(demo, smallest(demo))
    fixed = {"kernel": [5]}
    with pytest.raises(ConfigError, match="start: outside what fix has left"):
        supernet.search(demo, predictor=predictor, start=small, fix=fixed, **wanted)
    with pytest.raises(ConfigError, match="asha climbs a ladder of measurements"):
        supernet.search(demo, accuracy=predictor.mean, algorithm="asha", **wanted)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"algorithm": "grid"}, r"^grid: the space has .* subnets, the budget is 1,500"),
        ({"algorithm": Grid}, r"^grid: the space has .* subnets, the budget is 1,500"),
        (
            {"algorithm": "memetic", "storage": "sqlite:///a.db"},
            "^storage: only samplers of Optuna",
        ),
        ({"budget": 0}, "budget"),
        ({"resume": True}, "^resume: needs the folder"),
    ],
)
def test_what_is_wrong_is_said_before_this_machine_is_measured(
    demo: Space,
    predictor: FittedPredictor,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    text: str,
):
    given: dict[str, Any] = {"budget": 1500} | wrong

    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured first")

    monkeypatch.setattr("supernet.search.setup.this_machine", measured)
    monkeypatch.setattr("supernet.search.setup.is_measured", lambda *_: True)
    with pytest.raises(ConfigError, match=text):
        supernet.search(demo, ["this_machine"], predictor=predictor, **given)


class Sampled(Random):
    """An algorithm of a user."""


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"algorithm": Random}, {"algorithm": Sampled}, "algorithm"),
        (
            {"algorithm": partial(AgingEvolution, population=8)},
            {"algorithm": partial(AgingEvolution, population=9)},
            "algorithm",
        ),
        ({"ladder": (1 / 9,)}, {"ladder": (1 / 3,)}, "ladder"),
        ({"ladder": (1 / 9,)}, {}, "algorithm"),
        ({"workers": 1}, {"workers": 2}, "measuring_workers 1, now 2"),
    ],
)
def test_another_search_is_not_gone_on_with(
    demo: Space, predictor: FittedPredictor, tmp_path: Path, before: Any, now: Any, told: str
):
    def measured(given: dict[str, Any], limit: int, **more: Any) -> SearchResult:
        left = iter(range(limit))

        def accuracy(genes: Genes) -> Any:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return predictor.mean(genes)

        rungs = [
            Rung(name=f"top1@{share:.3f}", function=predictor.mean, share=share)
            for share in given.get("ladder", ())
        ]
        options = {**given, "ladder": rungs} | more
        return supernet.search(
            demo, objectives=["macs"], accuracy=accuracy, folder=tmp_path / "s", budget=9, **options
        )

    with pytest.raises(KeyboardInterrupt):
        measured(before, 1)
    with pytest.raises(ConfigError, match=f"was asked for something else: .*{told}"):
        measured(now, 100, resume=True)
    assert len(measured(before, 100, resume=True)) > 2


def test_what_cannot_be_proven_is_not_certified(demo: Space, predictor: FittedPredictor):
    wanted: dict[str, Any] = {"limits": {"params": 300e3}, "objectives": ["macs"], "certify": True}
    perceptrons = fit_predictor(predictor.pairs, "mlp")
    with pytest.raises(ConfigError, match="kind 'mlp' has no additive part"):
        supernet.search(demo, predictor=perceptrons, **wanted)
    with pytest.raises(ConfigError, match="of a measured accuracy nothing can be proven"):
        supernet.search(demo, accuracy=predictor.mean, **wanted)
