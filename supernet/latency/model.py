"""A model of an operator's time: a sum of coefficients times what the operator is.

Two kinds. `work` models know arithmetic, traffic and calls (`supernet.latency.work`):
fitted to measured operators, they price any other. `choices` models know each choice of
a block by itself (`supernet.latency.choices`): fitted to whole networks only, they price
the operators of those networks' space.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from supernet.errors import ConfigError
from supernet.files import nearest
from supernet.latency.choices import Term, choice_terms
from supernet.latency.work import WORK_TERMS, work_terms
from supernet.space import Operator

__all__ = ["ModelError", "OperatorModel", "TermKind", "activation_class", "kind_of", "size_of"]

TermKind = Literal["work", "choices"]

_TERMS: Mapping[TermKind, Callable[[Operator], Iterator[Term]]] = {
    "work": lambda operator: itertools.starmap(Term, work_terms(operator)),
    "choices": choice_terms,
}
_MOST = 1e7  # of a coefficient, in milliseconds
_FAR = 4.0  # times smaller or larger than anything measured


def kind_of(operator: Operator) -> str:
    """Such as ``mbconv k5``."""
    return f"{operator.op} {operator.kernels}"


def size_of(operator: Operator) -> float:
    """Multiply-adds, or elements where there are none."""
    return float(operator.macs or operator.height * operator.width * operator.in_channels)


def activation_class(operator: Operator) -> str:
    """Its activation; relu6 takes the time of relu."""
    return "relu" if operator.act == "relu6" else operator.act


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelError:
    """How wrong a `work` model is, in percent, on operators that a fit did not see."""

    rows_mape: float = 0.0
    """Mean absolute error of single operators, five-fold over all of them."""
    blocks_mape: float = 0.0
    """The same, all sizes of a block left out together."""
    sizes_mape: float = 0.0
    """The same, one input size left out at a time."""
    shapes_mape: float = 0.0
    """The same, all blocks of the same input and output channels left out together."""
    networks: int = 0
    """Random networks whose operators were all measured; 0 where there are none."""
    networks_mape: float = 0.0
    """Mean absolute error of their sums, all sizes of a block left out together."""
    networks_p90: float = 0.0
    """Nine in ten of these sums stay within this of what was predicted, as a share of that."""
    unseen_p90: float = 0.0
    """The same, blocks of the same channels left out together: a space of other widths."""

    def __post_init__(self) -> None:
        values = [getattr(self, name) for name in self.__slots__]
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ConfigError("error: every figure must be finite and from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorModel:
    """Prices operators that were not measured; without coefficients it knows none."""

    terms: TermKind = "work"
    """What the coefficients multiply."""
    coefficients: dict[str, float] = field(default_factory=dict)
    """Milliseconds per unit of each term."""
    source: str = ""
    """What it was fitted to, in words."""
    operators: int = 0
    """Measured operators it was fitted to."""
    networks: int = 0
    """Whole networks it was fitted to."""
    borrowed: tuple[str, ...] = ()
    """Terms that nothing measured has: taken from another device's model, scaled."""
    kinds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of a `work` model: kinds of operators with their kernel (``mbconv k5``) that were
    measured, with the least and the most multiply-adds (of a pooling: elements) of any."""
    activations: tuple[str, ...] = ()
    """Of a `work` model: activations that were measured; relu6 counts as relu."""
    error: ModelError = ModelError()

    def __post_init__(self) -> None:
        problems = [
            f"coefficients.{name[:60]}: must be finite and below {_MOST:g}, found {value}"
            for name, value in self.coefficients.items()
            if not abs(value) < _MOST
        ]
        if self.terms == "work":
            problems += [
                f"coefficients.{name[:60]}: unknown term; {nearest(name, WORK_TERMS)}"
                for name in self.coefficients
                if name not in WORK_TERMS
            ]
            problems += [
                f"coefficients.{name}: must not be below 0, found {value}"
                for name, value in self.coefficients.items()
                if value < 0
            ]
        if problems:
            raise ConfigError(problems)

    def knows(self, operator: Operator) -> bool:
        """Whether it has a coefficient for all that the operator is."""
        return bool(self.coefficients) and all(
            term.name in self.coefficients or term.optional for term in self.amounts(operator)
        )

    def ms(self, operator: Operator) -> float:
        """Time of an operator in milliseconds.

        Raises:
            KeyError: it is not known.
        """
        total = 0.0
        for term in self.amounts(operator):
            if term.name in self.coefficients:
                total += self.coefficients[term.name] * term.amount
            elif not term.optional:
                raise KeyError(term.name)
        return total

    def extrapolates(self, operator: Operator) -> bool:
        """Whether it is unlike all that was measured, so that its error is not known.

        Another kind, another activation, far smaller or larger, or with borrowed work.
        """
        if self.terms != "work":
            return False
        least, most = self.kinds.get(kind_of(operator), (math.inf, 0.0))
        size = size_of(operator)
        return (
            not least / _FAR <= size <= most * _FAR
            or activation_class(operator) not in self.activations
            or any(term.name in self.borrowed for term in self.amounts(operator))
        )

    def amounts(self, operator: Operator) -> Iterator[Term]:
        """The operator's terms."""
        return _TERMS[self.terms](operator)
