"""Rewards of `reinforce`, by numbers from the papers' formulas."""

from collections.abc import Callable

import numpy as np
import pytest

from supernet.search import Accuracy, Evaluated, Problem, Start
from supernet.search.algorithms.reinforce import Reinforce, Reward
from supernet.search.archive import Archive

Make = Callable[..., Problem]

TOP1 = [80.0, 70.0, 75.0, np.nan]
MACS = [2e6, 0.5e6, 1e6, 1e6]  # of a limit of a million
SOFT = [
    # MnasNet (arXiv:1807.11626, equation 2): accuracy * (cost / limit) ** -0.07
    0.762110,  # 0.80 * 2 ** -0.07 = 0.80 * exp(-0.07 * 0.693147) = 0.80 * 0.952638
    0.734802,  # 0.70 * 2 ** 0.07 = 0.70 * 1.049717: cheaper is still better
    0.75,
    np.nan,
]
ABSOLUTE = [
    # TuNAS (arXiv:2008.06120, section 4) with beta = -0.5: accuracy + beta * |cost / limit - 1|
    0.30,  # 0.80 - 0.5 * |2 - 1|
    0.45,  # 0.70 - 0.5 * |0.5 - 1|: cheaper is worse
    0.75,
    np.nan,
]


def rewards(asked: Problem, reward: Reward, **figures: list[float]) -> list[float]:
    start = Start(
        problem=asked,
        rng=np.random.default_rng(0),
        budget=100,
        genes=asked.domain.smallest(),
        given=asked.domain.smallest()[:0],
        archive=Archive(asked),
    )
    columns = {name: np.array(values) for name, values in figures.items()}
    genes = asked.domain.sample(len(columns["macs"]), np.random.default_rng(0))
    found: list[float] = (
        Reinforce(start, reward=reward)
        .rewards(Evaluated(genes, columns, asked.violation(columns)))
        .tolist()
    )
    return found


@pytest.mark.parametrize(("reward", "expected"), [("soft", SOFT), ("absolute", ABSOLUTE)])
def test_the_reward_is_that_of_the_paper(
    problem: Make, reward: Reward, expected: list[float]
) -> None:
    asked = problem(measured=True, limits={"macs": 1e6})
    found = rewards(asked, reward, top1=TOP1, macs=MACS, params=MACS)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        ("soft", 0.726015),  # 0.80 * 2 ** -0.07 * 2 ** -0.07 = 0.80 * 0.907519
        ("absolute", -0.20),  # 0.80 - 0.5 * 1 - 0.5 * 1
    ],
)
def test_every_limited_cost_takes_its_part(problem: Make, reward: Reward, expected: float) -> None:
    asked = problem(measured=True, limits={"macs": 1e6, "params": 5e3})
    found = rewards(asked, reward, top1=[80.0], macs=[2e6], params=[1e4])
    assert found == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("reward", ["soft", "absolute"])
def test_without_a_limit_the_reward_is_the_accuracy(problem: Make, reward: Reward) -> None:
    asked = problem(measured=True)
    found = rewards(asked, reward, top1=TOP1, macs=MACS, params=MACS)
    assert found == pytest.approx([0.8, 0.7, 0.75, np.nan], nan_ok=True)
    loss = Accuracy(function=lambda genes: genes.sum(axis=1), name="loss", maximise=False)
    less = Problem(domain=asked.domain, objectives=(loss, asked.objectives[1]))
    assert rewards(less, reward, loss=[80.0], macs=[2e6]) == pytest.approx([-0.8])
