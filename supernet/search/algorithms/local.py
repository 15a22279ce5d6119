"""Local search under limits, by single changes and promising pairs of them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from supernet.search.contract import Candidates, Evaluated, Start
from supernet.search.objective import Cost, Values
from supernet.search.pareto import Index, pareto_front
from supernet.space import Genes
from supernet.space.layout import layout_of

__all__ = ["LocalSearch"]

_CHAINS = 10  # at the problem's own limits
_LEVELS = 12  # caps along the front, where nothing is limited
_BESIDE = 2  # caps along the front, beside limits
_ELITES = 12  # local optima of a target that restarts begin from
_PAIRS = 96  # scored of each neighbourhood
_MOVES = 192  # single changes scored, at most
_SHAKEN = 4  # genes that a restart changes
_TRIES = 12  # shaken subnets of which the first within the caps is taken
_CROSSED = 0.3  # share of restarts that cross two local optima first
_SLACK = 1.003  # the cost of a pair is estimated; a little above the cap may be below
_BROKEN = 1e12  # loss of a subnet that breaks a limit, more for more

Mask = npt.NDArray[np.bool_]


@dataclass(eq=False)
class _Target:
    """The best first objective under caps on costs, and the local optima found for it."""

    caps: dict[str, float]
    chains: int
    elites: list[tuple[float, bytes]] = field(default_factory=list)

    def remember(self, loss: float, genes: Genes) -> None:
        """Keep a local optimum, if it is among the best."""
        entry = (loss, genes.tobytes())
        if entry not in self.elites:
            self.elites = sorted([*self.elites, entry])[:_ELITES]


class LocalSearch:
    """Climbs from the best subnets known; restarts from shaken local optima.

    The gain and the cost of two changes together are close to the sum of both. So all
    single changes are scored, pairs are ranked by those sums, and only the best pairs whose
    cost stays under the caps are scored for real. Several chains climb at once, as arrays:
    ``B`` chains, ``M`` single changes, ``K`` pairs.
    """

    def __init__(self, start: Start) -> None:
        self._start, self._archive = start, start.archive
        problem = start.problem
        self._domain, self._rng = problem.domain, start.rng
        self._first = problem.objectives[0]
        self._costs = tuple(o for o in problem.columns if isinstance(o, Cost))
        self._size = layout_of(problem.domain.space).resolution.column
        self._targets: list[_Target] = []  # of each chain
        self._genes: Genes = problem.domain.smallest()[:0]  # of each chain, (B, G)
        self._caps: dict[str, Values] = {}  # by cost, (B,); infinite for none
        self._moves, self._pairs = problem.domain.moves[:0], np.zeros((2, 0), dtype=np.int64)
        self._singles: Genes | None = None  # asked for: each chain's, itself first, (B, 1 + M, G)
        self._promising: Genes | None = None  # asked for after them: pairs, (B, K, G)
        self._asked: Genes = self._genes  # the rows of either, (N, G)
        self._told: Evaluated | None = None  # of just these rows

    @property
    def step(self) -> int:
        """Subnets that a step of all chains along a front scores."""
        return _LEVELS * (1 + min(len(self._domain.moves), _MOVES) + _PAIRS)

    # ------------------------------------------------------------ the contract

    def ask(self, count: int) -> Candidates:
        """All single changes of every chain, then the most promising pairs."""
        del count  # decided by the neighbourhoods
        if not len(self._domain.moves):
            return Candidates(self._genes[:0])
        if not self._targets:
            self._begin()
        if self._singles is not None and self._promising is not None:
            self._advance(self._singles, self._promising)
            self._singles = self._promising = None
        if self._singles is None:
            self._choose_moves()
            self._singles = self._changed()
            self._asked = self._singles.reshape(-1, self._genes.shape[1])
        else:
            self._known = self._answers()
            self._promising = self._best_pairs(self._singles)
            self._asked = self._promising[self._keep]
        self._told = None
        return Candidates(self._asked)

    def tell(self, evaluated: Evaluated) -> None:
        """Take note of what was asked for; anything else is in the archive."""
        if np.array_equal(evaluated.genes, self._asked):
            self._told = evaluated

    # ------------------------------------------------------------ beginning

    def _begin(self) -> None:
        """Chains at the limits, one for each input size first, and at levels of the front."""
        rows = []
        for target in self._made_targets():
            best = self._best_by_size(target)
            self._targets += [target] * target.chains
            rows += [best[number % len(best)] for number in range(target.chains)]
        self._genes = np.stack(rows)
        names = {name for target in self._targets for name in target.caps}
        self._caps = {
            name: np.array([target.caps.get(name, np.inf) for target in self._targets])
            for name in sorted(names)
        }

    def _made_targets(self) -> list[_Target]:
        problem = self._start.problem
        limits = {cost.name: limit for cost, limit in problem.limited_costs}
        targets = [_Target(limits, _CHAINS)] if limits else []
        axes = [o.name for o in problem.objectives[1:] if isinstance(o, Cost)]
        feasible = np.flatnonzero(self._archive.violation <= 0)
        front = feasible[pareto_front(self._archive.losses[feasible])]
        if not axes or not len(front):
            return targets or [_Target({}, _CHAINS)]
        levels = np.linspace(0, 1, _BESIDE + 2)[1:-1] if limits else np.linspace(0.04, 1, _LEVELS)
        columns = self._archive.columns
        for level in levels.tolist():
            if len(axes) == 1:
                values = columns[axes[0]][front]
                caps = {axes[0]: float(values.min() + level * np.ptp(values))}
            else:  # about as good as some point of the front in all costs
                point = front[self._rng.integers(len(front))]
                caps = {name: 1.02 * float(columns[name][point]) for name in axes}
            tighter = {name: min(cap, limits.get(name, cap)) for name, cap in caps.items()}
            targets.append(_Target({**limits, **tighter}, 1))
        return targets

    def _best_by_size(self, target: _Target) -> Genes:
        """The best subnet known for a target of each input size, best first, ``(S, G)``."""
        known = self._archive.at(np.arange(len(self._archive)))
        loss = self._loss(known)
        for name, cap in target.caps.items():
            loss[known.columns[name] > cap] += _BROKEN
        order = np.argsort(loss, kind="stable")
        genes = self._archive.genes[order]
        sizes = genes[:, self._size] if self._size >= 0 else np.zeros(len(genes))
        _, first = np.unique(sizes, return_index=True)
        first = np.sort(first)
        return genes[first[loss[order[first]] < _BROKEN]] if loss.min() < _BROKEN else genes[:1]

    # ------------------------------------------------------------ neighbourhoods

    def _loss(self, known: Evaluated) -> Values:
        """The first objective, to be minimised; large where limits are broken, ``(N,)``."""
        values = known.columns[self._first.name]
        loss = -values if self._first.maximise else values.copy()
        loss[np.isnan(loss)] = np.inf
        broken = known.violation > 0
        loss[broken] = _BROKEN * (1 + known.violation[broken])
        return loss

    def _answers(self) -> Evaluated:
        """What is known of the rows that were asked for; broken limits where nothing is."""
        if self._told is not None:
            return self._told
        index = self._archive.find(self._asked)
        known = self._archive.at(np.maximum(index, 0))
        known.violation[index < 0] = np.inf
        return known

    def _choose_moves(self) -> None:
        """All single changes ``(M, 2)``, a random part in a large space; all pairs ``(2, P)``."""
        moves = self._domain.moves
        if len(moves) > _MOVES:
            moves = moves[np.sort(self._rng.choice(len(moves), _MOVES, replace=False))]
        elif len(self._moves):
            return
        first, second = np.triu_indices(len(moves), 1)
        differ = moves[first, 0] != moves[second, 0]
        self._moves, self._pairs = moves, np.stack([first[differ], second[differ]])

    def _changed(self) -> Genes:
        """Each chain's subnet and all its single changes, shape ``(B, 1 + M, G)``."""
        chains, count = len(self._genes), len(self._moves)
        rows = np.repeat(self._genes, count, axis=0)
        moves = np.tile(self._moves, (chains, 1))[:, None]
        changed = self._domain.apply(rows, moves).reshape(chains, count, -1)
        return np.concatenate([self._genes[:, None], changed], axis=1)

    def _best_pairs(self, singles: Genes) -> Genes:
        """Pairs of changes that should gain most under the caps, shape ``(B, K, G)``.

        Sets `_keep`, ``(B, K)``: which of them really keep the caps.
        """
        chains = len(self._genes)
        first, second = self._pairs
        gain = self._gain(singles)
        sums = gain.take(first, axis=1)
        sums += gain.take(second, axis=1)
        for name, cap in self._caps.items():
            costs = self._known.columns[name].reshape(chains, -1).astype(np.float32)
            extra = costs[:, 1:] - costs[:, :1]
            over = extra.take(first, axis=1)
            over += extra.take(second, axis=1)
            room = (cap * _SLACK).astype(np.float32) - costs[:, 0]
            np.copyto(sums, np.inf, where=over > room[:, None])
        count = min(_PAIRS, sums.shape[1])
        best = np.argpartition(sums, count - 1, axis=1)[:, :count] if count else first[None, :0]
        moves = self._moves[self._pairs.T[best]]  # (B, K, 2, 2)
        rows = np.repeat(self._genes, best.shape[1], axis=0)
        pairs = self._domain.apply(rows, moves.reshape(-1, 2, 2))
        chain = np.repeat(np.arange(chains), best.shape[1])
        keep = self._within(pairs, chain) & np.isfinite(np.take_along_axis(sums, best, 1)).ravel()
        self._keep = keep.reshape(best.shape)
        return pairs.reshape(chains, best.shape[1], -1)

    def _gain(self, singles: Genes) -> npt.NDArray[np.float32]:
        """Change of the first objective by each single change, the less the better, ``(B, M)``.

        Infinite where a change changes nothing, or its figure is not known.
        """
        values = self._known.columns[self._first.name].reshape(len(singles), -1)
        gain = (values[:, 1:] - values[:, :1]).astype(np.float32)
        gain = -gain if self._first.maximise else gain
        columns, choices = self._moves.T
        idle = self._genes[:, columns] == choices  # as it is
        idle |= singles[:, np.arange(1, singles.shape[1]), columns] != choices  # without effect
        gain[idle | np.isnan(gain)] = np.inf
        return gain

    def _within(self, genes: Genes, chain: Index) -> Mask:
        """Which rows keep the caps of their chains, shape ``(N,)``."""
        keep = np.ones(len(genes), dtype=bool)
        for cost in self._costs:
            if cost.name in self._caps:
                keep &= cost(genes) <= self._caps[cost.name][chain]
        return keep

    # ------------------------------------------------------------ steps

    def _advance(self, singles: Genes, promising: Genes) -> None:
        """Every chain goes to the best subnet around it, or restarts at a local optimum."""
        chains = len(self._genes)
        around = self._loss(self._known).reshape(chains, -1)
        for name, cap in self._caps.items():
            costs = self._known.columns[name].reshape(chains, -1)
            around[(costs > cap[:, None]) & (around < _BROKEN)] = _BROKEN
        pairs = np.full(self._keep.shape, np.inf)
        pairs[self._keep] = self._loss(self._answers())
        loss = np.concatenate([around, pairs], axis=1)
        best = loss.argmin(axis=1)
        better = loss[np.arange(chains), best] < loss[:, 0]
        rows = np.concatenate([singles, promising], axis=1)
        stuck = np.flatnonzero(~better)
        for chain in stuck.tolist():
            self._targets[chain].remember(float(loss[chain, 0]), self._genes[chain])
        self._genes = rows[np.arange(chains), best].copy()
        if len(stuck):
            self._genes[stuck] = self._shaken(stuck)

    def _shaken(self, stuck: Index) -> Genes:
        """Local optima with some genes changed, some crossed before, one for each chain."""
        rng, domain = self._rng, self._domain
        pools = [
            np.stack([np.frombuffer(row, dtype=np.int8) for _, row in self._targets[c].elites])
            for c in stuck.tolist()
        ]
        picks = rng.random((len(stuck), 3, _TRIES))
        chosen = [(np.minimum(p[0], p[1]) * len(pool)).astype(int) for p, pool in zip(picks, pools)]
        rows = np.concatenate([pool[i] for pool, i in zip(pools, chosen)])
        mates = [pool[(p[2] * len(pool)).astype(int)] for p, pool in zip(picks, pools)]
        cross = rng.random(len(rows)) < _CROSSED
        rows[cross] = domain.crossover(rows[cross], np.concatenate(mates)[cross], rng)
        free = domain.free[domain.free != self._size]
        if len(free):
            columns = rng.choice(free, size=(len(rows), min(_SHAKEN, len(free))))
            ranks = (rng.random(columns.shape) * domain.counts[columns]).astype(np.int64)
            rows = domain.apply(rows, np.stack([columns, domain.choice(columns, ranks)], axis=2))
        within = self._within(rows, np.repeat(stuck, _TRIES)).reshape(len(stuck), _TRIES)
        first = within.argmax(axis=1) + np.arange(len(stuck)) * _TRIES
        found: Genes = rows[first]
        for number, pool in enumerate(pools):
            if not within[number].any():
                found[number] = pool[0]
        return found
