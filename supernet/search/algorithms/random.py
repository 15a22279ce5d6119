"""Random search: the baseline that every other algorithm has to beat."""

from supernet.search.contract import Candidates, Evaluated, Start

__all__ = ["Random"]


class Random:
    """Asks for subnets of all sizes alike; learns nothing."""

    def __init__(self, start: Start) -> None:
        self._start, self._begun = start, False

    def ask(self, count: int) -> Candidates:
        """The subnets to begin with, then random ones."""
        if not self._begun:
            self._begun = True
            if len(self._start.genes):
                return Candidates(self._start.genes)
        return Candidates(self._start.problem.domain.sample_spread(count, self._start.rng))

    def tell(self, evaluated: Evaluated) -> None:
        """Nothing to learn."""
