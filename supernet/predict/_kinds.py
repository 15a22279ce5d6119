"""The kinds of predictors that are fitted to pairs, one record each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.predict._model import Model
from supernet.predict.contract import AccuracyPairs
from supernet.predict.gbdt import fit_gbdt, load_gbdt
from supernet.predict.gp import fit_gp, load_gp
from supernet.predict.perceptrons import fit_mlp, load_mlp
from supernet.predict.ridge import fit_ridge, load_ridge

__all__ = ["KINDS", "Kind", "available", "kind_of"]

Fitter: TypeAlias = Callable[[AccuracyPairs, int], Model]
Loader: TypeAlias = Callable[[AccuracyPairs, Mapping[str, Any]], Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of predictor."""

    name: str
    """As given to ``--kind``."""
    fit: Fitter
    """Fits it to pairs with a seed."""
    load: Loader
    """Makes it again from the pairs and its state."""
    about: str
    """One line for a reader."""
    package: str = ""
    """A package that it needs and that is not installed with this one; empty for none."""
    extra: str = ""
    """The extra that installs that package."""


_ALL = (
    Kind(
        name="ridge",
        fit=fit_ridge,
        load=load_ridge,
        about="choices and pairs of them add up; its optimum can be proven",
    ),
    Kind(
        name="gp",
        fit=fit_gp,
        load=load_gp,
        about="Gaussian process over choices and costs; the best for few pairs",
    ),
    Kind(
        name="mlp",
        fit=fit_mlp,
        load=load_mlp,
        about="five multilayer perceptrons over choices and costs",
    ),
    Kind(
        name="gbdt",
        fit=fit_gbdt,
        load=load_gbdt,
        about="gradient boosted trees of scikit-learn",
        package="sklearn",
        extra="sklearn",
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""By name."""


def kind_of(name: str) -> Kind:
    """The record of a kind.

    Raises:
        ConfigError: unknown; lists the known ones.
    """
    if name not in KINDS:
        known = nearest(name, [*KINDS, "ensemble", "auto"])
        raise ConfigError(f"unknown kind of predictor {name[:60]!r}; {known}")
    return KINDS[name]


def available() -> tuple[str, ...]:
    """Kinds whose packages are installed."""
    return tuple(k.name for k in _ALL if not k.package or find_spec(k.package))
