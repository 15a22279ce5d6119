"""Finalists: each is chosen where those before it say that the best are."""

from collections.abc import Callable

import numpy as np
import pytest

from supernet.search import Budget, Problem, SearchResult, algorithm, run_search
from supernet.search.finalists import Columns, Measure, Top1, measure_finalists, ranked
from supernet.search.objective import Values
from supernet.space import Genes

Make = Callable[..., Problem]
LIMIT = 400_000.0


@pytest.fixture
def asked(problem: Make) -> Problem:
    """Multiply-adds stand for the latency, which is predicted and measured."""
    return problem(limits={"macs": LIMIT})


@pytest.fixture
def result(asked: Problem) -> SearchResult:
    factory = algorithm("memetic").factory
    return run_search(asked, factory=factory, budget=Budget(scored=800), seed=0)


def measuring(
    asked: Problem, rounds: list[int], top1: Top1 | None = None, **factors: float
) -> tuple[Top1, Measure]:
    def costs(genes: Genes) -> Columns:
        rounds.append(len(genes))
        values = asked.cheap(genes)
        return {name: values[name] * factor for name, factor in factors.items()}

    return top1 or (lambda genes: asked.cheap(genes)["top1"]), costs


@pytest.mark.parametrize(("count", "halves"), [(6, [3, 3]), (5, [3, 2]), (1, [1]), (2, [1, 1])])
def test_costs_of_half_of_them_are_measured_first(
    asked: Problem, result: SearchResult, count: int, halves: list[int]
):
    rounds: list[int] = []
    index, columns = measure_finalists(asked, result, count, *measuring(asked, rounds, macs=1.0))
    assert rounds == halves
    assert len(set(index.tolist())) == count == len(columns["macs"])
    np.testing.assert_allclose(columns["macs"], result.columns["macs"][index])
    best = np.sort(result.columns["top1"][result.columns["macs"] <= LIMIT])[::-1][:count]
    np.testing.assert_array_equal(np.sort(result.columns["top1"][index])[::-1], best)


def test_where_all_take_longer_than_predicted_the_second_round_meets_the_limit(
    asked: Problem, result: SearchResult
):
    index, columns = measure_finalists(asked, result, 6, *measuring(asked, [], macs=1.1))
    first, second = columns["macs"][:3], columns["macs"][3:]
    assert (first > LIMIT).any()
    assert (second <= LIMIT * 1.1 ** np.array([2 / 3, 1 / 3, 0]) * (1 + 1e-9)).all()
    top1, predicted = result.columns["top1"], result.columns["macs"]
    for number, part in [(3, 1 / 3), (4, 2 / 3), (5, 1)]:
        within = np.flatnonzero(predicted * 1.1**part <= LIMIT)
        assert top1[index[number]] == top1[np.setdiff1d(within, index[:number])].max()
    known = {name: values[index] for name, values in result.columns.items()} | columns
    assert known["macs"][ranked(asked, known)[0]] <= LIMIT


def test_what_is_learned_from_a_promise_that_fails_leads_away_from_all_that_is_alike(
    asked: Problem, result: SearchResult
):
    top1 = result.columns["top1"]
    within = np.flatnonzero(result.columns["macs"] <= LIMIT)
    best = within[top1[within].argmax()]
    varied = [len(np.unique(column)) > 1 for column in result.genes[within].T]
    column = varied.index(True)
    choice = result.genes[best, column]

    def truth(genes: Genes) -> Values:
        return asked.cheap(genes)["top1"] - np.where(genes[:, column] == choice, 20.0, 0.0)

    told: list[int] = []

    def learn(measured: Genes) -> Top1:
        told.append(len(measured))
        return truth

    both = measuring(asked, [], truth)
    index, columns = measure_finalists(asked, result, 4, *both, learn=learn)
    assert told == [1, 2, 3]
    assert index[0] == best
    assert (result.genes[index[1:], column] != choice).all()
    assert columns["top1"][1] == pytest.approx(truth(result.genes[within]).max())
    without, _ = measure_finalists(asked, result, 4, *both)
    assert (result.genes[without, column] == choice).all()  # as the search promised them


def test_what_was_measured_before_and_is_better_than_all_finalists_is_among_them(
    asked: Problem, result: SearchResult
):
    predicted = result.columns["macs"]
    within = np.flatnonzero(predicted <= LIMIT)
    known = np.full(len(result), np.nan)
    known[within[[3, 5, 6]]] = 59.0, 60.0, 61.0
    known[np.flatnonzero(predicted > LIMIT)[0]] = 99.0
    values = np.where(np.isfinite(known), known, 50.0)

    def rows_of(genes: Genes) -> list[int]:
        return [int(np.flatnonzero((result.genes == row).all(axis=1))[0]) for row in genes]

    def costs(genes: Genes) -> Columns:
        slow = np.where(np.array(rows_of(genes)) == within[6], 9.0, 1.0)
        return {"macs": asked.cheap(genes)["macs"] * slow}

    def top1(genes: Genes) -> Values:
        found: Values = values[rows_of(genes)]
        return found

    index, columns = measure_finalists(asked, result, 1, top1, costs, known=known)
    assert index[1:].tolist() == [within[6], within[5]]
    own = {name: value[index] for name, value in result.columns.items()} | columns
    assert index[ranked(asked, own)[0]] == within[5]  # the better one breaks the limit
    less = np.minimum(known, 40.0)
    worse, _ = measure_finalists(asked, result, 2, top1, costs, known=less)
    assert len(worse) == 2


def test_a_figure_that_is_better_than_predicted_changes_nothing(
    asked: Problem, result: SearchResult
):
    as_predicted, _ = measure_finalists(asked, result, 6, *measuring(asked, [], macs=1.0))
    faster, _ = measure_finalists(asked, result, 6, *measuring(asked, [], macs=0.8))
    np.testing.assert_array_equal(faster, as_predicted)


def test_where_nothing_is_left_within_the_limits_the_nearest_are_measured(
    asked: Problem, result: SearchResult
):
    index, _ = measure_finalists(asked, result, 4, *measuring(asked, [], macs=1e9))
    predicted = result.columns["macs"]
    np.testing.assert_array_equal(np.sort(predicted[index[2:]]), np.sort(predicted)[:2])


def test_without_limits_finalists_lie_along_the_front_from_the_best_of_all(problem: Make):
    free = problem()
    factory = algorithm("memetic").factory
    result = run_search(free, factory=factory, budget=Budget(scored=800), seed=0)
    index, columns = measure_finalists(free, result, 4, *measuring(free, [], macs=1.0))
    top1, macs = result.columns["top1"], columns["macs"]
    assert top1[index[0]] == top1.max()
    assert (np.diff(macs) < 0).all()
    beaten = (top1 > top1[index][:, None]) & (result.columns["macs"] <= macs[:, None])
    assert not beaten.any()
    front = np.sort(result.columns["macs"][result.front])
    places = np.searchsorted(front, macs) / (len(front) - 1)
    np.testing.assert_allclose(places, [1.0, 0.75, 0.5, 0.25], atol=0.08)
