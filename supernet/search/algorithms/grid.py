"""Grid search: every subnet of a narrowed space, in order."""

import numpy as np

from supernet.errors import ConfigError
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.space import Domain, Genes

__all__ = ["Grid", "check_whole"]

_BLOCK = 65_536  # rows of choices that are looked at together


def check_whole(name: str, domain: Domain, budget: int) -> None:
    """Refuse a grid that a budget could never finish.

    Raises:
        ConfigError: there are more subnets than the budget.
    """
    if domain.count > budget:
        raise ConfigError(
            f"{name}: the space has {domain.count:,} subnets, the budget is {budget:,}",
            hint="narrow the space with --fix, or raise --budget",
        )


class Grid:
    """Asks for every subnet once.

    Raises:
        ConfigError: there are more than the budget.
    """

    def __init__(self, start: Start) -> None:
        self._domain = start.problem.domain
        check_whole("grid", self._domain, start.budget)
        self._next, self._queue = 0, self._domain.smallest()[:0]

    def ask(self, count: int) -> Candidates:
        """The next subnets."""
        while len(self._queue) < count and self._next < self._domain.combinations:
            self._queue = np.concatenate([self._queue, self._block()])
        asked, self._queue = self._queue[:count], self._queue[count:]
        return Candidates(asked)

    def tell(self, evaluated: Evaluated) -> None:
        """Nothing to learn."""

    def _block(self) -> Genes:
        """Of the next rows of choices those that stand for a subnet: idle genes at the first."""
        counts = self._domain.counts
        end = min(self._next + _BLOCK, self._domain.combinations)
        rows = np.arange(self._next, end)
        ranks = np.zeros((len(rows), len(counts)), dtype=np.int8)
        for column in range(len(counts) - 1, -1, -1):
            rows, ranks[:, column] = np.divmod(rows, counts[column])
        self._next = end
        genes = self._domain.of_ranks(ranks)
        chosen = self._domain.choice(np.arange(len(counts)), ranks)
        found: Genes = genes[((genes == chosen) | (ranks == 0)).all(axis=1)]
        return found
