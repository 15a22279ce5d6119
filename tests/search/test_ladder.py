"""Algorithms that climb a ladder, and the loop that measures at its rungs."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import supernet
from supernet.errors import ConfigError, UnfinishedError
from supernet.search import (
    ALGORITHMS,
    Accuracy,
    AlgorithmInfo,
    Budget,
    Problem,
    Rung,
    SearchResult,
    climbs_of,
    corners,
    run_search,
    search_folder,
)
from supernet.space import Domain, Genes, Space

Make = Callable[..., Problem]
Values = npt.NDArray[np.float64]

SHARES = (1 / 9, 1 / 3)


@pytest.fixture(params=[i for i in ALGORITHMS.values() if i.climbs], ids=lambda info: info.name)
def info(request: pytest.FixtureRequest) -> AlgorithmInfo:
    found: AlgorithmInfo = request.param
    if found.name == "bohb":
        pytest.importorskip("optuna")
    return found


def noisy(function: Callable[[Genes], Values], points: float) -> Callable[[Genes], Values]:
    """The same, off by a number that depends on the subnet alone."""

    def value(genes: Genes) -> Values:
        found = function(genes).copy()
        for number, row in enumerate(np.asarray(genes, dtype=np.int64)):
            found[number] += points * np.random.default_rng([7, *row]).standard_normal()
        return found

    return value


def climbed(free: Problem, *, points: float = 0.3, **options: Any) -> Problem:
    """A measured problem with two rungs below, which are off by some points."""
    first = free.objectives[0]
    ladder = tuple(
        Rung(name=f"top1@{number}", function=noisy(first, points / (number + 1)), share=share)
        for number, share in enumerate(SHARES)
    )
    measured = Accuracy(function=first, measured=True)
    objectives = (measured, *free.objectives[1:])
    return replace(free, objectives=objectives, ladder=ladder, **options)


def spent(result: SearchResult) -> float:
    """Whole measurements."""
    names = {"top1@0": SHARES[0], "top1@1": SHARES[1], "top1": 1.0}
    return float(sum(np.isfinite(result.columns[n]).sum() * cost for n, cost in names.items()))


def test_it_finds_a_better_subnet_than_random_ones_at_equal_cost(
    info: AlgorithmInfo, problem: Make
) -> None:
    won = []
    for seed in range(10):
        asked = climbed(problem(seed))
        budget = Budget(scored=25)
        result = run_search(asked, factory=info.factory, budget=budget, seed=seed)
        plain = replace(asked, ladder=())
        drawn = run_search(plain, factory=ALGORITHMS["random"].factory, budget=budget, seed=seed)
        won.append(result.columns["top1"][result.best()] - drawn.columns["top1"][drawn.best()])
    assert np.mean(won) > 0.3


def test_it_spends_its_budget_and_no_more(info: AlgorithmInfo, problem: Make) -> None:
    result = run_search(climbed(problem()), factory=info.factory, budget=Budget(scored=20), seed=1)
    assert 18 < spent(result) <= 20 + 1e-9


def test_who_is_measured_at_a_rung_was_measured_below(info: AlgorithmInfo, problem: Make) -> None:
    result = run_search(climbed(problem()), factory=info.factory, budget=Budget(scored=20))
    reached = np.isfinite([result.columns[n] for n in ("top1@0", "top1@1", "top1")])
    low, middle, whole = reached.sum(axis=1)
    assert low > middle > whole > 0
    if info.name == "asha":
        assert low > 2 * middle > 4 * whole
    if info.name != "hyperband":  # some of its brackets begin higher
        assert (reached[:-1] >= reached[1:]).all()


def test_rungs_tell_how_well_they_foretell_the_next(problem: Make) -> None:
    asked = climbed(problem(), points=0.01)
    told = {}
    for name, rung in (("right", asked.ladder[1]), ("noise", _of_noise(asked.ladder[1]))):
        own = replace(asked, ladder=(asked.ladder[0], rung))
        budget = Budget(scored=40)
        result = run_search(own, factory=ALGORITHMS["asha"].factory, budget=budget)
        told[name] = climbs_of(own, result)
        counts = np.isfinite([result.columns[n] for n in ("top1@0", "top1@1", "top1")]).sum(axis=1)
        assert [one.subnets for one in told[name]] == counts.tolist()
        assert [one.climbed for one in told[name]] == [*counts[1:], 0]
    right, noise = told["right"], told["noise"]
    assert right[0].kendall is not None
    assert right[0].kendall > 0.9
    assert [one.poor for one in right] == [False, False, False]
    assert noise[0].kendall is not None
    assert [noise[0].poor, noise[-1].poor] == [True, False]  # few climbed from the second
    plain = replace(asked, ladder=())
    few = Budget(scored=3)
    assert (
        climbs_of(plain, run_search(plain, factory=ALGORITHMS["random"].factory, budget=few)) == ()
    )


def _of_noise(rung: Rung) -> Rung:
    return replace(rung, function=noisy(lambda genes: np.zeros(len(genes)), 1.0))


def test_the_best_were_measured_whole(info: AlgorithmInfo, problem: Make) -> None:
    result = run_search(climbed(problem()), factory=info.factory, budget=Budget(scored=20))
    assert np.isfinite(result.columns["top1"][result.front]).all()
    assert np.isfinite(result.columns["top1"][result.best()])


@pytest.mark.parametrize(
    ("budget", "workers"), [(1, 1), (2, 1), (1, 3), (2, 2), (3, 4), (3, 8), (5, 8)]
)
def test_the_smallest_budget_has_an_answer(
    info: AlgorithmInfo, problem: Make, budget: int, workers: int
) -> None:
    asked = climbed(problem())
    most = Budget(scored=budget)
    result = run_search(asked, factory=info.factory, budget=most, workers=workers)
    assert np.isfinite(result.columns["top1"][result.best()])
    assert spent(result) <= budget + 1e-9


def test_a_search_whose_time_was_up_too_early_can_be_gone_on_with(
    problem: Make, tmp_path: Path
) -> None:
    asked, asha = climbed(problem()), ALGORITHMS["asha"].factory

    def slow(rung: Rung) -> Rung:
        def function(genes: Genes) -> Values:
            time.sleep(0.02)
            return rung(genes)

        return replace(rung, function=function)

    asked = replace(asked, ladder=tuple(slow(rung) for rung in asked.ladder))
    with pytest.raises(UnfinishedError, match="time was up") as error:
        run_search(asked, factory=asha, budget=Budget(scored=40, seconds=0.001))
    assert "--resume" in error.value.hint

    def in_a_folder() -> None:
        with search_folder(tmp_path, "short", asked, {}) as folder:
            own = folder.journaled(asked)
            run_search(own, factory=asha, budget=Budget(scored=40, seconds=0.001))

    with pytest.raises(UnfinishedError):
        in_a_folder()
    with search_folder(tmp_path, "short", asked, {}, resume=True) as folder:
        own = folder.journaled(asked)
        result = run_search(own, factory=asha, budget=Budget(scored=40), again=folder.scored)
    assert np.isfinite(result.columns["top1"][result.best()])


def test_of_few_subnets_the_best_is_measured_whole(info: AlgorithmInfo, problem: Make) -> None:
    fixed: dict[str, list[float | str]] = {
        "resolution": [24],
        "stage1.width": [16],
        "stage2.kernel": [3],
        "expand": [3.0],
    }
    domain = Domain.of(problem().domain.space, fixed)
    assert domain.count == 24
    three = Rung(name="top1@2", function=noisy(problem().objectives[0], 0.1), share=0.5)
    asked = climbed(problem(), domain=domain)
    asked = replace(asked, ladder=(*asked.ladder, three))
    result = run_search(asked, factory=info.factory, budget=Budget(scored=90))
    every = asked.objectives[0](domain.everything())
    assert result.columns["top1"][result.best()] == every.max()
    if info.name == "asha":  # no bracket of new ones that waits for room
        assert np.isfinite(result.columns["top1"]).sum() == 24


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_seed_and_workers_give_the_same(
    info: AlgorithmInfo, problem: Make, workers: int
) -> None:
    asked = climbed(problem(3))
    rng = np.random.default_rng()

    def delayed(rung: Rung | Accuracy) -> Callable[[Genes], Values]:
        def value(genes: Genes) -> Values:
            time.sleep(rng.random() * 2e-3)
            return rung.function(genes)

        return value

    first = asked.objectives[0]
    assert isinstance(first, Accuracy)
    asked = replace(
        asked,
        objectives=(replace(first, function=delayed(first)), *asked.objectives[1:]),
        ladder=tuple(replace(rung, function=delayed(rung)) for rung in asked.ladder),
    )
    one, two = (
        run_search(asked, factory=info.factory, budget=Budget(scored=12), seed=5, workers=workers)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.genes, two.genes)
    for name in one.columns:
        np.testing.assert_array_equal(one.columns[name], two.columns[name])


def test_failed_rungs_are_no_end(info: AlgorithmInfo, problem: Make) -> None:
    asked = climbed(problem(2))
    low = asked.ladder[0].function

    def failing(genes: Genes) -> Values:
        return np.where(genes[:, 1] == 1, np.nan, low(genes))

    ladder = (replace(asked.ladder[0], function=failing), asked.ladder[1])
    result = run_search(
        replace(asked, ladder=ladder), factory=info.factory, budget=Budget(scored=20)
    )
    assert np.isfinite(result.columns["top1"]).sum() >= 2
    if info.name != "hyperband":
        assert (result.genes[np.isfinite(result.columns["top1"])][:, 1] == 0).all()


def test_limits_are_kept_at_all_rungs(
    info: AlgorithmInfo, problem: Make, everything: Genes
) -> None:
    free = problem()
    limit = float(np.quantile(free.cheap(everything)["macs"], 0.2))
    asked = climbed(free, limits={"macs": limit})
    result = run_search(asked, factory=info.factory, budget=Budget(scored=15))
    over = result.columns["macs"] > limit
    for name in ("top1@0", "top1@1", "top1"):
        assert np.isnan(result.columns[name][over]).all()
    assert result.columns["macs"][result.best()] <= limit


def test_a_predictor_is_a_rung_that_costs_nothing(info: AlgorithmInfo, problem: Make) -> None:
    asked = climbed(problem(1))
    first = Rung(name="top1@predictor", function=asked.ladder[0].function, share=0, measured=False)
    ladder = (first, asked.ladder[1])
    result = run_search(
        replace(asked, ladder=ladder), factory=info.factory, budget=Budget(scored=10)
    )
    assert np.isfinite(result.columns["top1@predictor"]).all()
    assert np.isfinite(result.columns["top1"]).sum() >= 2


def test_a_ladder_that_descends_is_refused(problem: Make) -> None:
    asked = climbed(problem())
    with pytest.raises(ConfigError, match=r"top1@0 takes 0.111 .* top1@1 before it 0.333"):
        replace(asked, ladder=asked.ladder[::-1])
    with pytest.raises(ConfigError, match="share of a whole measurement from 0 to below 1"):
        replace(asked.ladder[0], share=1.0)
    with pytest.raises(ConfigError, match="ladder: top1 is not measured"):
        replace(problem(), ladder=asked.ladder)


def test_workers_measure_at_the_same_time_and_results_are_told_in_order(problem: Make) -> None:
    free = problem(1)
    lock, at_once, most = threading.Lock(), 0, 0

    def slow(genes: Genes) -> Values:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002 * int(genes.sum() % 5))
        with lock:
            at_once -= 1
        found: Values = free.objectives[0](genes)
        return found

    asked = replace(free, objectives=(Accuracy(function=slow, measured=True), *free.objectives[1:]))
    results = [
        run_search(asked, factory=ALGORITHMS["aging"].factory, budget=Budget(scored=60), workers=3)
        for _ in range(2)
    ]
    assert most == 3
    np.testing.assert_array_equal(results[0].genes, results[1].genes)


def test_an_error_ends_all_workers(problem: Make) -> None:
    asked = problem(1)

    def broken(genes: Genes) -> Values:
        raise OSError("the disk is gone")

    failing = replace(
        asked, objectives=(Accuracy(function=broken, measured=True), *asked.objectives[1:])
    )
    with pytest.raises(OSError, match="the disk is gone"):
        run_search(failing, factory=ALGORITHMS["aging"].factory, workers=2)


def test_a_function_that_raises_is_a_failed_measurement(space: Space) -> None:
    def accuracy(genes: Genes) -> Values:
        if genes[0, 1] == 1:
            raise ZeroDivisionError("no images")
        return np.full(len(genes), 50.0 + genes.sum())

    with pytest.warns(RuntimeWarning, match="a measurement failed.*ZeroDivisionError: no images"):
        result = supernet.search(space, accuracy=accuracy, objectives=["macs"], budget=30)
    failed = result.genes[:, 1] == 1
    assert np.isnan(result.columns["top1"][failed]).all()
    assert np.isfinite(result.columns["top1"][~failed]).all()


def test_a_search_that_climbs_is_gone_on_with(tmp_path: Path, space: Space) -> None:
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1, (2, len(corners_of(space)[0])))

    class Stop(KeyboardInterrupt):
        pass

    def searched(folder: str, stop_after: int = 10**9, **options: Any) -> SearchResult:
        calls = 0

        def measure(genes: Genes, level: int) -> Values:
            nonlocal calls
            calls += 1
            if calls > stop_after:
                raise Stop
            made.append(level)
            found: Values = 50.0 + genes @ weights[level]
            return found

        return supernet.search(
            space,
            accuracy=lambda genes: measure(genes, 1),
            ladder=[Rung(name="low", function=lambda genes: measure(genes, 0), share=0.2)],
            objectives=["macs"],
            budget=12,
            seed=2,
            folder=tmp_path / folder,
            **options,
        )

    made: list[int] = []
    whole = searched("whole")
    needed = len(made)
    made.clear()
    with pytest.raises(KeyboardInterrupt):
        searched("stopped", stop_after=needed // 2)
    again = searched("stopped", resume=True)
    assert len(made) == needed
    np.testing.assert_array_equal(again.genes, whole.genes)
    np.testing.assert_array_equal(again.columns["low"], whole.columns["low"])


def corners_of(space: Space) -> Genes:
    from supernet.search import macs
    from supernet.space import Domain

    return corners(Problem(domain=Domain.of(space), objectives=(macs(space),)))
