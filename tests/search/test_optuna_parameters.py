"""Subnets as parameters of Optuna: categories as they are, conditional ones, and a flat space."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from supernet.search import ALGORITHMS, Accuracy, Budget, Problem, run_search
from supernet.search.algorithms import optuna as samplers
from supernet.search.algorithms.optuna_parameters import Parameters
from supernet.search.algorithms.optuna_study import opened_study
from supernet.space import Domain, Genes, Space, with_effect
from supernet.space.layout import layout_of

optuna = pytest.importorskip("optuna")

Make = Callable[..., Problem]

FIX: dict[str, list[float | str]] = {"resolution": [24], "stage2.kernel": [3, 7]}
CATEGORIES = {  # what a user reads in the space, but for what is fixed
    "stem.width": (8, 16),
    "stage1.width": (8, 16),
    "stage2.width": (16, 24),
    "stage1.depth": (1, 2),
    "stage1.block1.kernel": (3, 5),
    "stage1.block1.expand": (2.0, 3.0),
    "stage2.block1.kernel": (3, 7),
    "stage2.block1.expand": (3.0, 4.0),
}
SECOND = {"stage1.block2.kernel": (3, 5), "stage1.block2.expand": (2.0, 3.0)}  # of two blocks
MOST = 8  # trials: fewer than samplers draw at random
FLAT = ("gp", "cmaes", "grid")


class Enough(BaseException):
    """Of trials."""


@pytest.fixture
def narrowed(space: Space) -> Domain:
    return Domain.of(space, FIX)


def categories(trial: Any) -> dict[str, tuple[Any, ...]]:
    """The choices of each parameter of a trial, all of them categorical."""
    found = trial.distributions
    kind = optuna.distributions.CategoricalDistribution
    assert {type(one) for one in found.values()} == {kind}
    return {name: one.choices for name, one in found.items()}


def assert_flat(trial: Any) -> None:
    """Numbers from 0, of all genes that are free, whatever the depth is."""
    expected = {
        name: optuna.distributions.IntDistribution(0, len(choices) - 1)
        for name, choices in (CATEGORIES | SECOND).items()
    }
    assert trial.distributions == expected


def test_choices_are_categories_there_only_where_they_have_an_effect(narrowed: Domain) -> None:
    parameters, study = Parameters(narrowed), optuna.create_study()
    seen = set()
    for _ in range(30):
        trial = study.ask()
        genes = parameters.suggested(trial)
        depth = trial.params["stage1.depth"]
        assert categories(trial) == CATEGORIES | (SECOND if depth == 2 else {})
        assert narrowed.contains(genes).all()
        assert parameters.of(genes[0]) == (trial.params, trial.distributions)
        np.testing.assert_array_equal(parameters.row(trial.params), genes)
        seen.add(depth)
        study.tell(trial, 1.0)
    assert seen == {1, 2}


def test_a_flat_space_has_all_numbers_at_all_times(narrowed: Domain) -> None:
    parameters, study = Parameters(narrowed, flat=True), optuna.create_study()
    genes_of = layout_of(narrowed.space).genes
    kernel = next(gene for gene in genes_of if gene.name == "stage2.block1.kernel")
    assert parameters.space() == {
        name: list(range(len(choices))) for name, choices in (CATEGORIES | SECOND).items()
    }
    for _ in range(10):
        trial = study.ask()
        genes = parameters.suggested(trial)
        assert_flat(trial)
        assert narrowed.contains(genes).all()
        number = trial.params["stage2.block1.kernel"]
        assert kernel.choices[genes[0, kernel.column]] == (3, 7)[number]  # of those allowed
        values, spread = parameters.of(genes[0])
        assert spread == trial.distributions
        np.testing.assert_array_equal(parameters.row(values), genes)
        study.tell(trial, 1.0)


def test_the_parameters_of_any_space_are_its_genes_with_an_effect(any_space: Space) -> None:
    """Whatever decides: a depth, or a kind of block."""
    domain, genes_of = Domain.of(any_space), layout_of(any_space).genes
    parameters, rng = Parameters(domain), np.random.default_rng(0)
    rows = domain.sample(20, rng)
    for row, effect in zip(rows, with_effect(any_space, rows)):
        expected = {
            genes_of[column].name: genes_of[column].choices[row[column]]
            for column in domain.free.tolist()
            if effect[column]
        }
        values, _ = parameters.of(row)
        assert values == expected
        np.testing.assert_array_equal(parameters.row(values), row[None])


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_each_sampler_is_given_the_space_that_it_takes(
    problem: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also for subnets that it is told of without having suggested them: the corners."""
    pytest.importorskip("cmaes")
    pytest.importorskip("scipy")
    opened = []

    def noted(*given: Any, **more: Any) -> Any:
        opened.append(opened_study(*given, **more))
        return opened[-1]

    monkeypatch.setattr(samplers, "opened_study", noted)
    asked = problem(measured=True, domain=Domain.of(problem().domain.space, FIX))
    top1, *costs = asked.objectives

    def some(genes: Genes) -> np.ndarray:
        if len(opened[0].trials) > MOST:
            raise Enough
        return top1(genes)

    asked = replace(asked, objectives=(Accuracy(function=some, measured=True), *costs))
    factory, budget = ALGORITHMS[f"optuna:{name}"].factory, Budget(scored=asked.domain.count)
    with pytest.raises(Enough):
        run_search(asked, factory=factory, budget=budget)
    (study,) = opened
    assert len(study.trials) > MOST
    for trial in study.trials:
        if name in FLAT:
            assert_flat(trial)
        else:
            depth = trial.params["stage1.depth"]
            assert categories(trial) == CATEGORIES | (SECOND if depth == 2 else {})
