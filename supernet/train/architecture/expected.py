"""The expected cost of a distribution over subnets, exact and differentiable."""

from collections.abc import Sequence

import torch
from torch import Tensor

from supernet.latency import LatencyPredictor
from supernet.space import CostTable, Genes
from supernet.train.architecture.policy import Values

__all__ = ["ExpectedCost", "ExpectedLatency"]


class ExpectedCost:
    """The mean of a sum of tables over genes that are drawn independently.

    A table is over the few genes that an operator depends on, so its mean is one product
    after the other with their probabilities: exact, and linear in each probability, whose
    derivative is therefore the mean cost of the subnets that take that choice (the
    differentiable latency of ProxylessNAS, arXiv:1812.00332, section 3.3.1, where an
    operator depends on one choice alone).

    Args:
        tables: whose sum is the cost.
        offset: added to it.
        counts: choices of each gene.
    """

    def __init__(self, tables: Sequence[CostTable], offset: float, counts: Sequence[int]) -> None:
        self._tables = [(columns, torch.from_numpy(costs.copy())) for columns, costs in tables]
        self._offset, self._counts = offset, list(counts)

    def __call__(self, probabilities: Tensor) -> Tensor:
        """The expected cost for probabilities of all choices ``(C,)``, a scalar."""
        own = torch.split(probabilities, self._counts)
        total = torch.full((), self._offset, dtype=torch.float64)
        for columns, costs in self._tables:
            mean = costs
            for column in reversed(columns):  # the last axis first
                mean = mean @ own[column]
            total = total + mean
        return total


class ExpectedLatency(ExpectedCost):
    """Milliseconds by a latency table, of a distribution and of subnets."""

    def __init__(self, predictor: LatencyPredictor, counts: Sequence[int]) -> None:
        tables = predictor.costs()
        super().__init__(tables, predictor.intercept_ms, counts)
        self._predictor = predictor

    def of(self, genes: Genes) -> Values:
        """Of canonical subnets ``(N, G)``, shape ``(N,)``."""
        return self._predictor.ms(genes)
