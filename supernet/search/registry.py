"""Algorithms by name; a new one is a file and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.search.algorithms.aging import AgingEvolution
from supernet.search.algorithms.expected_improvement import ExpectedImprovement
from supernet.search.algorithms.grid import Grid
from supernet.search.algorithms.hill_climbing import HillClimbing
from supernet.search.algorithms.memetic import Memetic
from supernet.search.algorithms.nsga2 import NSGA2
from supernet.search.algorithms.optuna import SAMPLERS, OptunaSampler
from supernet.search.algorithms.random import Random
from supernet.search.algorithms.surrogate import Surrogate
from supernet.search.contract import Factory
from supernet.search.problem import Problem

__all__ = ["ALGORITHMS", "DEFAULT", "AlgorithmInfo", "algorithm", "suited"]

DEFAULT = "memetic"
"""Where all figures are predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmInfo:
    """An algorithm as it is listed."""

    name: str
    factory: Factory
    about: str
    """One line."""


_KNOWN = (
    AlgorithmInfo(
        name="memetic",
        factory=Memetic,
        about="evolution for the whole front, then local search by pairs of changes",
    ),
    AlgorithmInfo(name="nsga2", factory=NSGA2, about="multi-objective evolution (Deb et al. 2002)"),
    AlgorithmInfo(
        name="surrogate",
        factory=Surrogate,
        about="measures what a model of the accuracy promises most (LINAS)",
    ),
    AlgorithmInfo(
        name="ei",
        factory=ExpectedImprovement,
        about="measures what a Gaussian process expects to improve most; up to 1,000 subnets",
    ),
    AlgorithmInfo(
        name="aging",
        factory=AgingEvolution,
        about="regularised evolution: the oldest dies (Real et al. 2018)",
    ),
    AlgorithmInfo(
        name="local",
        factory=HillClimbing,
        about="to the first better neighbour, with restarts (White et al. 2020)",
    ),
    AlgorithmInfo(name="grid", factory=Grid, about="every subnet of a narrowed space"),
    AlgorithmInfo(name="random", factory=Random, about="random subnets of all sizes alike"),
)

_OF_OPTUNA = tuple(
    AlgorithmInfo(
        name=f"optuna:{name}",
        factory=partial(OptunaSampler, sampler=name),
        about=f"{kind} of Optuna (extra: optuna); up to 2,000 subnets",
    )
    for name, kind in SAMPLERS.items()
)

ALGORITHMS: Mapping[str, AlgorithmInfo] = {info.name: info for info in (*_KNOWN, *_OF_OPTUNA)}
"""By name; the first is the default."""


def suited(problem: Problem) -> str:
    """The name of the default for a problem: few measurements need a model, many figures none."""
    return "ei" if problem.measures else DEFAULT


def algorithm(name: str) -> AlgorithmInfo:
    """The algorithm of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ALGORITHMS:
        raise ConfigError(f"unknown algorithm {name[:60]!r}; {nearest(name, ALGORITHMS)}")
    return ALGORITHMS[name]
