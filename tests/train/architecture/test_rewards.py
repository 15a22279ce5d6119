"""Rewards of the methods that learn by REINFORCE, by numbers from the papers' formulas."""

from typing import Any

import numpy as np
import pytest

from supernet.space import Domain, Genes, Space
from supernet.train.architecture import METHODS, Policy, Scores, Values
from supernet.train.architecture.reinforce import Reinforce
from tests.train.toy_latency import settings

TOP1 = np.array([0.80, 0.70, 0.75])
MS = np.array([120.0, 30.0, 60.0])
LIMIT_MS = 60.0


class Latency:
    """The milliseconds of three subnets, whichever they are."""

    def of(self, genes: Genes) -> Values:
        assert len(genes) == len(MS)
        return MS


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        # TuNAS (arXiv:2008.06120, section 4): accuracy + beta * |latency / limit - 1|, beta < 0:
        # 0.80 - 0.1 * |2 - 1|, 0.70 - 0.1 * |0.5 - 1|, 0.75 - 0
        ("tunas", 0.1, [0.70, 0.65, 0.75]),
        # MnasNet (arXiv:1807.11626, equation 2), whose reward ProxylessNAS takes
        # (arXiv:1812.00332): accuracy * (latency / limit) ** -0.07:
        # 0.80 * 2 ** -0.07 = 0.80 * 0.952638, 0.70 * 2 ** 0.07 = 0.70 * 1.049717, 0.75 * 1
        ("proxyless_reinforce", 0.07, [0.762110, 0.734802, 0.75]),
    ],
)
def test_the_reward_is_that_of_the_paper(
    space: Space, monkeypatch: pytest.MonkeyPatch, name: Any, weight: float, expected: list[float]
) -> None:
    told: list[Values] = []

    def update(own: Reinforce, genes: Genes, rewards: Values, lr: float) -> None:
        told.append(rewards)

    monkeypatch.setattr(Reinforce, "update", update)
    asked = settings(name, limit_ms=LIMIT_MS, weight=weight, samples=len(MS))
    latency: Any = Latency()
    method = METHODS[asked.method].factory(Policy(Domain.of(space)), latency, asked)
    losses = np.full(len(TOP1), 9.0)
    method.learn(lambda genes: Scores(losses=losses, top1=TOP1), 0.5, np.random.default_rng(0))
    assert len(told) == 1
    np.testing.assert_allclose(told[0], expected, atol=1e-6)
