"""Finalists: measured in two rounds, the second where the first says that the limits are."""

from collections.abc import Callable

import numpy as np
import pytest

from supernet.search import Budget, Problem, SearchResult, algorithm, run_search
from supernet.search.finalists import Columns, measure_finalists, ranked
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


def measuring(asked: Problem, rounds: list[int], **factors: float) -> Callable[[Genes], Columns]:
    def measure(genes: Genes) -> Columns:
        rounds.append(len(genes))
        values = asked.cheap(genes)
        return {name: values[name] * factor for name, factor in factors.items()}

    return measure


@pytest.mark.parametrize(("count", "halves"), [(6, [3, 3]), (5, [3, 2]), (1, [1]), (2, [1, 1])])
def test_half_of_them_are_measured_first(
    asked: Problem, result: SearchResult, count: int, halves: list[int]
):
    rounds: list[int] = []
    index, columns = measure_finalists(asked, result, count, measuring(asked, rounds, macs=1.0))
    assert rounds == halves
    assert len(set(index.tolist())) == count == len(columns["macs"])
    np.testing.assert_array_equal(columns["macs"], result.columns["macs"][index])
    best = np.sort(result.columns["top1"][result.columns["macs"] <= LIMIT])[::-1][:count]
    np.testing.assert_array_equal(np.sort(result.columns["top1"][index])[::-1], best)


def test_where_all_take_longer_than_predicted_the_second_round_meets_the_limit(
    asked: Problem, result: SearchResult
):
    index, columns = measure_finalists(asked, result, 6, measuring(asked, [], macs=1.1))
    first, second = columns["macs"][:3], columns["macs"][3:]
    assert (first > LIMIT).any()
    assert (second <= LIMIT * 1.1 ** np.array([2 / 3, 1 / 3, 0]) * (1 + 1e-9)).all()
    top1, predicted = result.columns["top1"], result.columns["macs"]
    for number, part in [(3, 1 / 3), (4, 2 / 3), (5, 1)]:
        within = np.flatnonzero(predicted * 1.1**part <= LIMIT)
        assert top1[index[number]] == top1[np.setdiff1d(within, index[:number])].max()
    known = {name: values[index] for name, values in result.columns.items()} | columns
    assert known["macs"][ranked(asked, known)[0]] <= LIMIT


def test_a_figure_that_is_better_than_predicted_changes_nothing(
    asked: Problem, result: SearchResult
):
    as_predicted, _ = measure_finalists(asked, result, 6, measuring(asked, [], macs=1.0))
    faster, _ = measure_finalists(asked, result, 6, measuring(asked, [], macs=0.8))
    np.testing.assert_array_equal(faster, as_predicted)


def test_where_nothing_is_left_within_the_limits_the_nearest_are_measured(
    asked: Problem, result: SearchResult
):
    index, _ = measure_finalists(asked, result, 4, measuring(asked, [], macs=1e9))
    predicted = result.columns["macs"]
    np.testing.assert_array_equal(np.sort(predicted[index[2:]]), np.sort(predicted)[:2])
