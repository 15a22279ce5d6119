"""Local search under limits, by single changes and promising pairs of them."""

from dataclasses import dataclass, field

import numpy as np

from supernet.search.archive import Archive
from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Cost, Values
from supernet.search.pareto import pareto_front
from supernet.space import Genes
from supernet.space.layout import layout_of

__all__ = ["LocalSearch"]

_CHAINS = 10  # at the problem's own limits
_LEVELS = 12  # caps along the front
_ELITES = 12  # local optima that restarts begin from
_PAIRS = 64  # scored of each neighbourhood
_MOVES = 192  # single changes looked at, at most
_SHAKEN = 4  # genes that a restart changes
_BROKEN = 1e12  # loss of a subnet that breaks a limit, more for more
_SLACK = 1.003  # the cost of a pair is estimated; a little above the cap may be below


@dataclass(eq=False)
class _Target:
    """The best first objective under caps on costs, and the local optima found for it."""

    caps: dict[str, float]
    chains: int
    elites: list[tuple[float, bytes]] = field(default_factory=list)


@dataclass(eq=False)
class _Chain:
    """One climb: where it stands, and what it is climbing for."""

    target: _Target
    genes: Genes
    """Shape ``(G,)``."""
    around: Genes | None = None
    """It and all its single changes, shape ``(1 + M, G)``."""
    known: Evaluated | None = None
    """Of `around`, once it was scored."""


class LocalSearch:
    """Climbs from the best subnets known; restarts from shaken local optima.

    The gain and the cost of two changes together are close to the sum of both. So all
    single changes are scored, pairs are ranked by those sums, and only the best pairs whose
    cost stays under the caps are scored for real.
    """

    def __init__(self, start: Start, archive: Archive) -> None:
        self._start, self._archive = start, archive
        problem = start.problem
        self._domain, self._rng = problem.domain, start.rng
        self._costs = tuple(o for o in problem.columns if isinstance(o, Cost))
        self._size = layout_of(problem.domain.space).resolution.column
        self._chains: list[_Chain] = []
        self._moves = self._domain.moves
        self._paired = False  # whether pairs are what is asked next
        self._asked: list[Genes] = []  # the last pairs, by chain

    # ------------------------------------------------------------ the contract

    def ask(self, count: int) -> Candidates:  # noqa: ARG002  # a neighbourhood is asked for whole
        """All single changes of every chain, then the most promising pairs."""
        if not len(self._moves):
            return Candidates(self._domain.smallest()[:0])
        if not self._chains:
            self._begin()
        if self._paired:
            self._paired = False
            self._asked = [self._promising(chain) for chain in self._chains]
            return Candidates(np.concatenate(self._asked))
        for chain, pairs in zip(self._chains, self._asked):
            self._advance(chain, pairs)
        self._choose_moves()
        self._paired = True
        around = [self._around(chain.genes) for chain in self._chains]
        for chain, rows in zip(self._chains, around):
            chain.around = rows
        return Candidates(np.concatenate(around))

    def tell(self, evaluated: Evaluated) -> None:
        """Take note of scores."""
        self._archive.add(evaluated)

    # ------------------------------------------------------------ beginning

    def _begin(self) -> None:
        """Chains at the limits, one for each input size first, and at levels of the front."""
        targets = self._targets()
        for target in targets:
            best = self._best_by_size(target)
            for number in range(target.chains):
                if len(best):
                    self._chains.append(_Chain(target, best[number % len(best)]))

    def _targets(self) -> list[_Target]:
        problem = self._start.problem
        limits = {cost.name: limit for cost, limit in problem.limited_costs}
        targets = [_Target(limits, _CHAINS)] if limits else []
        axes = [o for o in problem.objectives[1:] if isinstance(o, Cost)]
        if not axes:
            return targets or [_Target({}, _CHAINS)]
        feasible = np.flatnonzero(self._archive.violation <= 0)
        front = feasible[pareto_front(self._archive.losses[feasible])]
        if not len(front):
            return targets or [_Target({}, _CHAINS)]
        count = 2 if limits else _LEVELS
        for level in np.linspace(0, 1, count + 2)[1:-1] if limits else np.linspace(0.04, 1, count):
            caps = dict(limits)
            if len(axes) == 1:
                values = self._archive.columns[axes[0].name][front]
                caps[axes[0].name] = float(values.min() + level * np.ptp(values))
            else:  # no worse than some point of the front in all costs
                point = front[self._rng.integers(len(front))]
                for axis in axes:
                    caps[axis.name] = float(self._archive.columns[axis.name][point] * 1.02)
            targets.append(_Target(caps, 1))
        return targets

    def _best_by_size(self, target: _Target) -> list[Genes]:
        """The best subnet known under the caps of a target for each input size, best first."""
        loss = self._loss_under(target)
        order = np.argsort(loss, kind="stable")
        order = order[np.isfinite(loss[order])]
        genes = self._archive.genes[order]
        if not len(genes):
            nearest = int(self._archive.violation.argmin())
            return [self._archive.genes[nearest].copy()]
        sizes = genes[:, self._size] if self._size >= 0 else np.zeros(len(genes))
        _, first = np.unique(sizes, return_index=True)
        return [genes[i].copy() for i in np.sort(first)]

    def _loss_under(self, target: _Target) -> Values:
        """The first objective of all that is known, infinite where a cap is broken."""
        return self._capped(self._archive.at(np.arange(len(self._archive))), target)

    def _capped(self, known: Evaluated, target: _Target) -> Values:
        loss = self._start.problem.losses(known.columns)[:, 0].copy()
        for name, cap in target.caps.items():
            loss[known.columns[name] > cap] = np.inf
        broken = known.violation > 0
        loss[broken] = _BROKEN * (1 + known.violation[broken])
        return loss

    # ------------------------------------------------------------ steps

    def _choose_moves(self) -> None:
        """All single changes, or a random part of them in a large space."""
        moves = self._domain.moves
        if len(moves) > _MOVES:
            moves = moves[np.sort(self._rng.choice(len(moves), _MOVES, replace=False))]
        self._moves = moves
        first, second = np.triu_indices(len(moves), 1)
        differ = moves[first, 0] != moves[second, 0]
        self._pairs = np.stack([first[differ], second[differ]])

    def _around(self, genes: Genes) -> Genes:
        """A subnet ``(G,)`` and all its single changes, shape ``(1 + M, G)``."""
        rows = np.repeat(genes[None], len(self._moves), axis=0)
        return np.concatenate([genes[None], self._domain.apply(rows, self._moves[:, None])])

    def _known(self, genes: Genes) -> Evaluated:
        """What is known of rows; NaN of those that nobody told about."""
        index = self._archive.find(genes)
        known = self._archive.at(np.maximum(index, 0))
        for values in known.columns.values():
            values[index < 0] = np.nan
        known.violation[index < 0] = np.inf
        return known

    def _promising(self, chain: _Chain) -> Genes:
        """Pairs of changes that should gain most under the caps, shape ``(K, G)``."""
        assert chain.around is not None
        known = chain.known = self._known(chain.around)
        loss = self._start.problem.losses(known.columns)[:, 0]
        first, second = self._pairs
        with np.errstate(invalid="ignore"):
            change = loss[1:] - loss[0]
            sums = change[first] + change[second]
            for name, cap in chain.target.caps.items():
                values = known.columns[name]
                extra = values[1:] - values[0]
                sums[values[0] + extra[first] + extra[second] > cap * _SLACK] = np.inf
        sums = np.nan_to_num(sums, nan=np.inf)
        best = (
            np.argsort(sums)[:_PAIRS]
            if len(sums) <= _PAIRS
            else (np.argpartition(sums, _PAIRS)[:_PAIRS])
        )
        best = best[np.isfinite(sums[best])]
        moves = self._moves[self._pairs[:, best].T]  # (K, 2, 2)
        rows = self._domain.apply(np.repeat(chain.genes[None], len(best), axis=0), moves)
        return self._within(rows, chain.target)

    def _within(self, genes: Genes, target: _Target) -> Genes:
        """The rows that keep the caps."""
        keep = np.ones(len(genes), dtype=bool)
        for cost in self._costs:
            if cost.name in target.caps:
                keep &= cost(genes) <= target.caps[cost.name]
        return genes[keep]

    def _advance(self, chain: _Chain, pairs: Genes) -> None:
        """Go to the best subnet seen around, or restart from a shaken optimum."""
        assert chain.around is not None
        assert chain.known is not None
        rows = np.concatenate([chain.around, pairs])
        single = self._capped(chain.known, chain.target)
        loss = np.concatenate([single, self._capped(self._known(pairs), chain.target)])
        best = int(loss.argmin())
        if loss[best] < loss[0] or not np.isfinite(loss[0]):
            chain.genes = rows[best].copy()
            if np.isfinite(loss[best]):
                return
        self._remember(chain.target, float(loss[0]), chain.genes)
        chain.genes = self._shaken(chain.target)

    def _remember(self, target: _Target, loss: float, genes: Genes) -> None:
        entry = (loss, genes.tobytes())
        if entry not in target.elites:
            target.elites = sorted([*target.elites, entry])[:_ELITES]

    def _shaken(self, target: _Target) -> Genes:
        """A local optimum with some genes changed, sometimes crossed with another one."""
        rng, elites = self._rng, target.elites
        genes = np.stack([np.frombuffer(row, dtype=np.int8) for _, row in elites])
        tries = 24
        first = np.minimum(*rng.integers(0, len(genes), size=(2, tries)))
        second = rng.integers(0, len(genes), size=tries)
        rows = genes[first]
        cross = rng.random(tries) < 0.3
        rows[cross] = self._domain.crossover(rows, genes[second], rng)[cross]
        free = self._domain.free[self._domain.free != self._size]
        if len(free):
            columns = rng.choice(free, size=(tries, min(_SHAKEN, len(free))))
            ranks = (rng.random(columns.shape) * self._domain.counts[columns]).astype(np.int64)
            choices = self._domain.choice(columns, ranks)
            rows = self._domain.apply(rows, np.stack([columns, choices], axis=2))
        within = self._within(rows, target)
        chosen: Genes = (within if len(within) else genes)[0].copy()
        return chosen
