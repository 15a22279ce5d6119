"""Algorithms by name; a new one is a file and a line here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.search.algorithms.aging import AgingEvolution
from supernet.search.algorithms.asha import ASHA
from supernet.search.algorithms.bohb import BOHB
from supernet.search.algorithms.expected_improvement import ExpectedImprovement
from supernet.search.algorithms.grid import Grid, check_whole
from supernet.search.algorithms.hill_climbing import HillClimbing
from supernet.search.algorithms.hyperband import Hyperband
from supernet.search.algorithms.memetic import Memetic
from supernet.search.algorithms.netadapt import NetAdapt
from supernet.search.algorithms.nsga2 import NSGA2
from supernet.search.algorithms.optuna import SAMPLERS, OptunaSampler, check_points
from supernet.search.algorithms.optuna_study import StudyPlace
from supernet.search.algorithms.random import Random
from supernet.search.algorithms.reinforce import Reinforce
from supernet.search.algorithms.surrogate import Surrogate
from supernet.search.contract import Factory
from supernet.search.problem import Problem
from supernet.space import Domain
from supernet.studies import need_optuna

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = [
    "ALGORITHMS",
    "DEFAULT",
    "MEASURED",
    "AlgorithmInfo",
    "algorithm",
    "check_budget",
    "check_ladder_given",
    "default_budget",
    "factory_of",
    "suited",
    "usual",
]

DEFAULT = "memetic"
"""Where all figures are predicted."""
_WHOLE = "grid"
_ROWS = 10_000_000
"""Rows of choices, equal subnets counted apart, that are enumerated unasked: a second or two."""

_UNKNOWN = 2_000  # subnets scored by an algorithm that is not listed
MEASURED = 200
"""Subnets that are measured where nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmInfo:
    """An algorithm as it is listed."""

    name: str
    factory: Factory
    about: str
    """One line."""
    climbs: bool = False
    """Whether it measures at the rungs of a ladder."""
    beyond: bool = False
    """Whether it measures subnets that break a limit, too."""
    whole: bool = False
    """Whether it asks for every subnet, or for none."""
    of_optuna: bool = False
    """Whether it needs the package optuna."""
    budget: int = 60_000
    """Subnets that it is made for: some take longer to think with each."""


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
        budget=1_000,
        about="measures what a Gaussian process expects to improve most",
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
    AlgorithmInfo(
        name="reinforce",
        factory=Reinforce,
        beyond=True,
        about="a policy trained by MnasNet's soft reward (Tan et al. 2019)",
    ),
    AlgorithmInfo(
        name="reinforce:absolute",
        factory=partial(Reinforce, reward="absolute"),
        beyond=True,
        about="a policy trained by TuNAS's absolute reward (Bender et al. 2020)",
    ),
    AlgorithmInfo(
        name="netadapt",
        factory=NetAdapt,
        beyond=True,
        about="shrinks the largest, or a given, subnet step by step (Yang et al. 2018)",
    ),
    AlgorithmInfo(
        name="asha",
        factory=ASHA,
        climbs=True,
        about="asynchronous successive halving on a ladder (Li et al. 2020)",
    ),
    AlgorithmInfo(
        name="hyperband",
        factory=Hyperband,
        climbs=True,
        about="successive halving with several beginnings, on a ladder (Li et al. 2018)",
    ),
    AlgorithmInfo(
        name="bohb",
        factory=BOHB,
        climbs=True,
        of_optuna=True,
        budget=2_000,
        about="Optuna's TPE with its Hyperband, on a ladder (extra: optuna)",
    ),
    AlgorithmInfo(
        name="grid",
        factory=Grid,
        whole=True,
        budget=200_000,
        about="every subnet of a narrowed space",
    ),
    AlgorithmInfo(name="random", factory=Random, about="random subnets of all sizes alike"),
)

_OF_OPTUNA = tuple(
    AlgorithmInfo(
        name=f"optuna:{name}",
        factory=partial(OptunaSampler, sampler=name),
        whole=name == "grid",
        of_optuna=True,
        budget=2_000,
        about=f"{kind} of Optuna (extra: optuna)",
    )
    for name, kind in SAMPLERS.items()
)

ALGORITHMS: Mapping[str, AlgorithmInfo] = {info.name: info for info in (*_KNOWN, *_OF_OPTUNA)}
"""By name; the first is the default."""


def suited(problem: Problem, budget: int, seconds: float) -> str:
    """The name of the default for a problem within a budget."""
    measures, climbs = problem.measures, bool(problem.ladder)
    return usual(problem.domain, budget, seconds, measures=measures, climbs=climbs)


def usual(
    domain: Domain,
    budget: int | None,
    seconds: float,
    *,
    measures: bool,
    climbs: bool,
    shared: bool = False,
) -> str:
    """The name of the default: few measurements need a model, many figures none.

    Where all figures are predicted and every subnet can be scored, that is done: the answer is
    the best there is, and looking for what was not seen yet would take longer. Not where the time
    may be up before the end: the first subnets are no choice.

    Args:
        domain: to choose from.
        budget: subnets scored, at most; when not given, what each algorithm is made for.
        seconds: wall time, at most.
        measures: whether accuracies are measured.
        climbs: whether at the rungs of a ladder.
        shared: whether a storage is to keep the study: only Optuna has one.
    """
    if climbs:
        return "asha"
    if shared:
        return "optuna:tpe"
    if measures:
        return "ei"
    most = ALGORITHMS[_WHOLE].budget if budget is None else budget
    few = domain.count <= most and domain.combinations <= _ROWS
    return _WHOLE if few and math.isinf(seconds) else DEFAULT


def check_ladder_given(name: str, *, climbs: bool) -> None:
    """Refuse an algorithm that climbs where there is nothing to climb.

    Args:
        name: of an algorithm.
        climbs: whether there is a ladder.

    Raises:
        ConfigError: it would ask for random subnets only.
    """
    if algorithm(name).climbs and not climbs:
        raise ConfigError(
            f"algorithm: {name} climbs a ladder of measurements, and there is none",
            hint="add --measure or --ladder; in Python, ladder=",
        )


def default_budget(algorithm_: object, *, measures: bool) -> int:
    """Subnets that are scored where nobody says how many: fewer where it takes long.

    Args:
        algorithm_: its name, or what makes it.
        measures: whether accuracies are measured.
    """
    if measures:
        return MEASURED
    known = ALGORITHMS.get(algorithm_) if isinstance(algorithm_, str) else None
    return known.budget if known else _UNKNOWN


def check_budget(algorithm_: object, domain: Domain, budget: int) -> None:
    """Refuse a budget that an algorithm could do nothing with, before anything is measured.

    Args:
        algorithm_: its name, or what makes it.
        domain: to choose from.
        budget: subnets scored, at most.

    Raises:
        ConfigError: it asks for every subnet, and there are more.
    """
    for info in ALGORITHMS.values():
        if info.whole and algorithm_ in (info.name, info.factory):
            check_whole(info.name, domain, budget)
            if info.of_optuna:
                check_points(domain)


def factory_of(
    algorithm_: "str | Factory | BaseSampler", place: StudyPlace | None = None
) -> Factory:
    """What makes an algorithm.

    Args:
        algorithm_: its name; or a sampler object of Optuna, or a factory.
        place: where a study of Optuna is kept.

    Raises:
        ConfigError: an unknown name; a storage for an algorithm that has no study.
        MissingPackageError: Optuna, or what its sampler needs, is not installed.
    """
    if isinstance(algorithm_, str):
        info = algorithm(algorithm_)
        if info.of_optuna:
            need_optuna(f"algorithm {info.name}", info.name.removeprefix("optuna:"))
        factory = info.factory
    elif callable(algorithm_):
        factory = algorithm_
    else:
        factory = partial(OptunaSampler, sampler=algorithm_)
    if place is None:
        return factory
    if not (isinstance(factory, partial) and factory.func is OptunaSampler):
        raise ConfigError(
            f"storage: only samplers of Optuna have a study to keep, not {algorithm_!r}",
            hint="take one of " + ", ".join(info.name for info in _OF_OPTUNA),
        )
    return partial(factory, place=place)


def algorithm(name: str) -> AlgorithmInfo:
    """The algorithm of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ALGORITHMS:
        raise ConfigError(f"unknown algorithm {name[:60]!r}; {nearest(name, ALGORITHMS)}")
    return ALGORITHMS[name]
