"""The end of a search by gradient: the most probable subnet, brought to the limit."""

from pathlib import Path

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError, InfeasibleError
from supernet.space import Domain, Space
from supernet.train import Elastic, Phase, Recipe
from supernet.train.architecture import Policy, Values, probability_loss
from supernet.workflow import architecture
from supernet.workflow.architecture import prepared, probabilities_of
from tests.train.toy_latency import settings, table_of

EVERYTHING = Elastic(kernel=0, depth=0, expand=0, width=0, operator=0)


def phase_of(**changes: object) -> Phase:
    return Phase(
        name="s", epochs=1, lr=0.1, elastic=EVERYTHING, search=settings("tunas", **changes)
    )


def drawn(space: Space, rng: np.random.Generator) -> list[Values]:
    """Probabilities of a policy that has learned something."""
    return [rng.dirichlet(np.ones(n)) for n in Policy(Domain.of(space)).counts]


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.8])
def test_it_is_the_most_probable_of_all_subnets_just_within_the_limit(
    space: Space, rng: np.random.Generator, quantile: float
) -> None:
    table, own = table_of(space), drawn(space, rng)
    everything = Domain.of(space).everything()
    ms = table.predictor(space).ms(everything)
    limit = float(np.sort(ms)[int(quantile * len(ms))])
    problem = architecture._problem(space, phase_of(limit_ms=limit), table, own)
    genes = architecture._finalists(problem, seed=0)
    likely = probability_loss(Domain.of(space), own, everything)
    near = (ms <= limit) & (ms >= 0.98 * limit)
    found = probability_loss(Domain.of(space), own, genes)
    assert near.any()
    assert found[0] == pytest.approx(likely[near].max())
    assert 0.98 * limit <= table.predictor(space).ms(genes)[0] <= limit
    assert (table.predictor(space).ms(genes) <= limit).all()
    assert len(np.unique(genes, axis=0)) == len(genes) > 1


def test_a_limit_that_all_meet_leaves_the_most_probable_choices(
    space: Space, rng: np.random.Generator
) -> None:
    table, own = table_of(space), drawn(space, rng)
    problem = architecture._problem(space, phase_of(limit_ms=100.0), table, own)
    first = architecture._finalists(problem, seed=0)[:1]
    assert probability_loss(Domain.of(space), own, first) == pytest.approx(0)


def test_probabilities_of_another_space_are_refused(
    space: Space, tiny_space: Space, rng: np.random.Generator
) -> None:
    own = drawn(space, rng)
    known = dict(zip((g.name for g in Policy(Domain.of(space)).genes), map(list, own)))
    assert [p.tolist() for p in probabilities_of(space, known)] == [p.tolist() for p in own]
    with pytest.raises(FileFormatError, match="of another space"):
        probabilities_of(tiny_space, known)


def test_what_a_phase_needs_is_looked_at_before(space: Space, tmp_path: Path) -> None:
    table = tmp_path / "toy.json"
    table_of(space).save(table)
    recipe = Recipe(name="r", phases=(phase_of(target=str(table), limit_ms=0.4),))
    named, tables = prepared(space, recipe)
    assert [p.search and p.search.target for p in named.phases] == ["toy"]
    assert list(tables) == ["s"]
    with pytest.raises(InfeasibleError, match="the least is"):
        prepared(space, Recipe(name="r", phases=(phase_of(target=str(table), limit_ms=0.01),)))
    alone = Phase(
        name="s", epochs=1, lr=0.1, elastic=Elastic(resolution=1), search=settings("tunas")
    )
    with pytest.raises(ConfigError, match="leaves it one subnet"):
        prepared(space, Recipe(name="r", phases=(alone,)))
