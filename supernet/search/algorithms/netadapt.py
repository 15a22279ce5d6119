"""NetAdapt: shrink a network step by step until it keeps the limits (arXiv:1804.03230)."""

from collections.abc import Callable

import numpy as np

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Cost, Values, macs
from supernet.search.problem import Problem
from supernet.space import Genes, first_of_equals, unique

__all__ = ["NetAdapt"]

_STEPS = 20  # of a way down, at most, in the first pass
_FINEST = 640  # steps after which a finer pass brings nothing


class NetAdapt:
    """Takes away a little of the cost in each step, by the one change that costs least accuracy.

    In a step every gene proposes its own change, the smallest that brings the cost down far
    enough; all proposals are measured, so most of them break the limits. At the limits it
    begins again with steps of half the size, while the budget lasts.

    The cost is the share of the limits that is used, of several the largest; without a limit
    the first cost of the problem, down to the least there is.

    Args:
        start: of the search; it shrinks the subnet that was given, else the largest.
        steps: of the first pass; by the budget when not given.
    """

    def __init__(self, start: Start, *, steps: int = 0) -> None:
        self._start, self._problem = start, start.problem
        self._domain = start.problem.domain
        self._shares = _shares(start.problem)
        begin = start.given if len(start.given) else self._domain.largest()
        self._begin: Genes = begin[:1]
        genes = max(1, len(self._domain.free))
        self._steps = steps or int(np.clip(start.budget // (2 * genes), 2, _STEPS))
        self._current = self._begin
        rows = np.concatenate([self._begin, start.genes])
        self._queue = rows[first_of_equals(rows)]
        self._proposals: Genes = start.genes[:0]
        self._away: set[bytes] = set()

    def ask(self, count: int) -> Candidates:
        """The proposals of a step; the next ones when all of them are told."""
        none = Candidates(self._begin[:0])
        if not len(self._queue):
            if self._away:
                return none
            self._next_step()
            if not len(self._queue):
                return none
        asked, self._queue = self._queue[:count], self._queue[count:]
        self._away |= {row.tobytes() for row in asked}
        return Candidates(asked, beyond=True)

    def tell(self, evaluated: Evaluated) -> None:
        """Note who is measured; the figures are in the archive."""
        self._away -= {row.tobytes() for row in evaluated.genes}

    def _next_step(self) -> None:
        """Take the best proposal, and make those of the next step that has unknown ones."""
        while True:
            if len(self._proposals):
                self._current = self._best(self._proposals)
            self._proposals = self._smaller(self._current)
            if not len(self._proposals):  # at the limits, or nothing is smaller
                if self._steps >= _FINEST or (self._current == self._begin).all():
                    return
                self._steps, self._current = 2 * self._steps, self._begin
                self._proposals = self._smaller(self._current)
            known = self._start.archive.find(self._proposals) >= 0
            self._queue = self._proposals[~known]
            if len(self._queue) or not len(self._proposals):
                return

    def _best(self, genes: Genes) -> Genes:
        """Which of some measured subnets has the most accuracy, shape ``(1, G)``."""
        archive = self._start.archive
        losses = archive.losses[archive.find(genes), 0]
        shares = self._shares(genes)
        return genes[[int(np.lexsort((shares, losses))[0])]]

    def _smaller(self, current: Genes) -> Genes:
        """Each gene's change that brings the cost down by a step and no further than needed."""
        now = float(self._shares(current)[0])
        moves = self._domain.moves
        if now <= 1 or not len(moves):
            return current[:0]
        step = (float(self._shares(self._begin)[0]) - 1) / self._steps
        goal = max(1.0, now - step)
        rows = self._domain.apply(np.repeat(current, len(moves), axis=0), moves[:, None])
        shares = self._shares(rows)
        found = []
        for column in self._domain.free.tolist():
            own = np.flatnonzero((moves[:, 0] == column) & (shares < now))
            enough = own[shares[own] <= goal]
            if len(enough):
                found.append(enough[shares[enough].argmax()])
            elif len(own):  # this gene alone cannot: as far as it goes
                found.append(own[shares[own].argmin()])
        if any(shares[i] <= goal for i in found):
            found = [i for i in found if shares[i] <= goal]
        return unique(rows[np.array(found, dtype=np.int64)])


def _shares(problem: Problem) -> Callable[[Genes], Values]:
    """The cost that is brought down to 1, of a population ``(N, G)``."""
    limited = problem.limited_costs
    if not limited:
        costs = [o for o in problem.objectives if isinstance(o, Cost)]
        cost = (costs or [macs(problem.domain.space)])[0]
        limited = ((cost, float(cost(cost.lowest(problem.domain))[0])),)

    def shares(genes: Genes) -> Values:
        found: Values = np.max([cost(genes) / limit for cost, limit in limited], axis=0)
        return found

    return shares
