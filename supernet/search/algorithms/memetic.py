"""The default: evolution for the whole front, then local search by pairs of changes."""

from supernet.search.algorithms.local import LocalSearch
from supernet.search.algorithms.nsga2 import NSGA2
from supernet.search.contract import Candidates, Evaluated, Start

__all__ = ["Memetic"]

_EXPLORED = 0.25  # share of the budget that evolution gets
_TRIES = 20  # generations of known subnets after which evolution ends


class Memetic:
    """Evolution finds the regions, local search climbs in them.

    Under a limit a good subnet is improved by two changes at once, one that pays and one
    that saves: single mutations of a subnet near its limit are nearly always too
    expensive or no better (a memetic algorithm, Moscato 1989).
    """

    def __init__(self, start: Start, *, explored: float = _EXPLORED) -> None:
        self._archive = start.archive
        self._evolution = NSGA2(start, by_size=True)
        self._local = LocalSearch(start)
        self._until = max(1, int(explored * start.budget))
        if start.problem.wants_front and start.budget - self._until < self._local.step:
            self._until = start.budget  # a part of a step improves a part of the front

    def ask(self, count: int) -> Candidates:
        """Children of the best, later changes of the best by one or two genes."""
        if len(self._archive) < self._until:
            for _ in range(_TRIES):
                found = self._evolution.ask(min(count, self._until - len(self._archive) + 1))
                if (self._archive.find(found.genes) < 0).any():
                    return found
            self._until = 0  # a space so small that evolution has seen it
        return self._local.ask(count)

    def tell(self, evaluated: Evaluated) -> None:
        """Take note of scores."""
        if len(self._archive) < self._until:
            self._evolution.tell(evaluated)
        else:
            self._local.tell(evaluated)
