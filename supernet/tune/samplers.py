"""Who proposes and who gives up in a study of Optuna, by name: samplers and pruners."""

import warnings
from typing import Any

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.studies import need_optuna
from supernet.tune.plan import Plan

__all__ = [
    "PRUNERS",
    "REDUCTION",
    "SAMPLERS",
    "check_names",
    "check_sampler",
    "made_pruner",
    "made_sampler",
]

SAMPLERS = ("tpe", "gp", "cmaes", "random")
"""Who proposes: `TPESampler` (multivariate, conditional parameters in groups), `GPSampler`,
`CmaEsSampler` (numbers that are always there), `RandomSampler`."""
PRUNERS = ("none", "median", "asha", "hyperband")
"""Who gives trials up; ``asha`` is `SuccessiveHalvingPruner`, which is asynchronous."""
REDUCTION = 3
"""Of so many trials one goes on, where halving gives trials up."""
_STARTUP = 5


def check_names(sampler: str, pruner: str) -> None:
    """Refuse what Optuna is not asked for here.

    Raises:
        ConfigError: an unknown name; names the nearest.
    """
    for kind, name, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if name not in known:
            raise ConfigError(f"unknown {kind} {name!r}; {nearest(name, known)}")


def check_sampler(name: str, plan: Plan) -> None:
    """Refuse a sampler that cannot propose what a plan varies.

    Raises:
        ConfigError: it takes no parameters of this kind.
        MissingPackageError: it needs a package that is not there.
    """
    need_optuna(f"sampler {name}", name)
    always = [p for p in plan.parameters.values() if not p.when and not p.choices]
    if name == "cmaes" and len(always) < 2:
        raise ConfigError(
            f"sampler cmaes: needs two ranges that are always there, found {len(always)}",
            hint="use --sampler tpe",
        )


def made_sampler(name: str, seed: int) -> Any:
    """A sampler of Optuna.

    Args:
        name: one of `SAMPLERS`.
        seed: of it.
    """
    samplers = need_optuna("supernet tune").samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a part is experimental
        if name == "tpe":
            return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        names = {"gp": "GPSampler", "cmaes": "CmaEsSampler", "random": "RandomSampler"}
        return getattr(samplers, names[name])(seed=seed)


def made_pruner(name: str, grace: int, epochs: float) -> Any:
    """A pruner of Optuna.

    Args:
        name: one of `PRUNERS`.
        grace: epochs before which no trial is given up.
        epochs: of every trial.
    """
    pruners = need_optuna("supernet tune").pruners
    if name == "none":
        return pruners.NopPruner()
    if name == "median":
        return pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=grace)
    if name == "asha":
        return pruners.SuccessiveHalvingPruner(min_resource=grace, reduction_factor=REDUCTION)
    if name == "hyperband":
        return pruners.HyperbandPruner(
            min_resource=grace, max_resource=max(grace + 1, int(epochs)), reduction_factor=REDUCTION
        )
    raise AssertionError(name)
