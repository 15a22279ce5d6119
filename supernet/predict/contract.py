"""What an accuracy predictor is: measured pairs in, predictions with an error out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from supernet.arguments import Rule, checked, kind, numbers, optional, told
from supernet.errors import ConfigError
from supernet.metrics import kendall_tau, root_mean_square_error
from supernet.space import Genes, Space, canonical, unique
from supernet.space.layout import layout_of

__all__ = [
    "FEWEST_PAIRS",
    "INTERVAL_90",
    "LOWEST_KENDALL",
    "AccuracyPairs",
    "AccuracyPredictor",
    "Additive",
    "Predicted",
    "Validation",
    "Values",
    "check_genes",
]

Values: TypeAlias = npt.NDArray[np.float64]

FEWEST_PAIRS = 8
"""Pairs that a predictor can be fitted to."""
LOWEST_KENDALL = 0.5
"""A rank correlation on held-out pairs below it makes a predictor poor."""
_LARGEST_LOSS = 1e100  # its square is a number
INTERVAL_90 = 1.6448536
"""Half the width of the 90 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class AccuracyPairs:
    """Measured subnets of one space.

    Raises:
        ConfigError: shapes that do not fit, genes that the space has not, or values that
            are no accuracies or losses; all problems at once.
    """

    space: Space
    """Of the subnets."""
    genes: Genes
    """Shape ``(N, G)``."""
    top1: Values
    """Accuracies in percent, shape ``(N,)``."""
    loss: Values | None = None
    """Losses on the same images, shape ``(N,)``. An accuracy counts whole images: that of
    2,000 is uncertain by more than good subnets differ. A loss weighs each of them, and
    ranks subnets better on images that neither has seen; where it is given, predictors
    learn the loss, and a straight line between the two turns it into an accuracy."""

    def __post_init__(self) -> None:
        rules: dict[str, Rule] = {
            "space": kind(Space),
            "genes": _whole_numbers,
            "top1": numbers,
            "loss": optional(numbers),
        }
        given = {name: getattr(self, name) for name in rules}
        for name, value in checked(given, rules).items():
            object.__setattr__(self, name, value)
        problems = self._problems()
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "genes", canonical(self.space, self.genes.astype(np.int8)))

    def _problems(self) -> list[str]:
        choices = layout_of(self.space).num_choices
        count = self.top1.size
        if self.genes.shape != (count, len(choices)) or self.top1.ndim != 1:
            return [
                f"genes: space {self.space.name!r} with {count} accuracies needs the shape "
                f"({count}, {len(choices)}), found {self.genes.shape}"
            ]
        problems = []
        outside = np.argwhere((self.genes < 0) | (self.genes >= choices))
        if len(outside):
            row, column = outside[0].tolist()
            name = layout_of(self.space).genes[column].name
            problems.append(
                f"genes[{row}]: {name} must be below {choices[column]}, "
                f"found {self.genes[row, column]}"
            )
        wrong = np.flatnonzero(~((self.top1 >= 0) & (self.top1 <= 100)))
        if len(wrong):
            problems.append(
                f"top1[{wrong[0]}]: accuracies must be from 0 to 100 percent, "
                f"found {self.top1[wrong[0]]:g}"
            )
        if self.loss is not None and self.loss.shape != (count,):
            problems.append(f"loss: expected {count} values, found {self.loss.shape}")
        elif self.loss is not None and not (np.abs(self.loss) < _LARGEST_LOSS).all():
            row = int(np.argmin(np.abs(self.loss) < _LARGEST_LOSS))
            problems.append(
                f"loss[{row}]: losses must be finite and below {_LARGEST_LOSS:g}, "
                f"found {self.loss[row]:g}"
            )
        return problems

    def __len__(self) -> int:
        return len(self.top1)

    @property
    def target(self) -> Values:
        """What is learned: the accuracies that the losses stand for, else the accuracies."""
        return self.top1 if self.loss is None else _loss_to_accuracy(self.top1, self.loss)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "AccuracyPairs":
        """The pairs of some rows."""
        loss = None if self.loss is None else self.loss[rows]
        return AccuracyPairs(
            space=self.space, genes=self.genes[rows], top1=self.top1[rows], loss=loss
        )

    def joined(self, genes: Genes, top1: Values, loss: Values | None = None) -> "AccuracyPairs":
        """These pairs and more of them; losses count where both have them."""
        both = self.loss is not None and loss is not None
        return AccuracyPairs(
            space=self.space,
            genes=np.concatenate([self.genes, genes]),
            top1=np.concatenate([self.top1, top1]),
            loss=np.concatenate([self.loss, loss]) if both else None,
        )

    def merged(self) -> "AccuracyPairs":
        """One pair a subnet: measurements of equal subnets are averaged."""
        if len(unique(self.genes)) == len(self):
            return self
        _, first, inverse = np.unique(self.genes, axis=0, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        group = rank[inverse.ravel()]
        count = np.bincount(group)
        loss = None if self.loss is None else np.bincount(group, self.loss) / count
        return AccuracyPairs(
            space=self.space,
            genes=self.genes[np.sort(first)],
            top1=np.bincount(group, self.top1) / count,
            loss=loss,
        )


def _whole_numbers(value: object) -> npt.NDArray[Any]:
    """Genes of any type of numbers, as whole ones."""
    found = numbers(value)
    if not (np.isfinite(found) & (found == np.floor(found)) & (np.abs(found) < 2**31)).all():
        raise ConfigError(f"must be whole numbers, found {told(value)}")
    return found.astype(np.int64)


def check_genes(genes: Genes, width: int) -> None:
    """Refuse what is no population.

    Args:
        genes: that are asked for.
        width: genes of a subnet.

    Raises:
        ConfigError: another shape or type.
    """
    array = isinstance(genes, np.ndarray)
    if not array or genes.dtype.kind not in "biuf" or genes.ndim != 2 or genes.shape[1] != width:
        shape = f", shape {genes.shape}" if array else ""
        raise ConfigError(
            f"genes: must be a NumPy array of the shape (N, {width}), found {told(genes)}{shape}",
            hint="supernet.space.encode makes the genes of subnets",
        )


def _loss_to_accuracy(top1: Values, loss: Values) -> Values:
    """Accuracies that the losses stand for, by least squares; `top1` where they say nothing."""
    spread = float(loss.std())
    slope = float(((top1 - top1.mean()) * (loss - loss.mean())).mean()) / (spread**2 or 1.0)
    line: Values = top1.mean() + slope * (loss - loss.mean())
    return top1 if slope >= 0 else line


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Predicted:
    """Predictions of a population."""

    mean: Values
    """Percent, shape ``(N,)``."""
    std: Values | None = None
    """Percentage points, shape ``(N,)``; None where the predictor does not know its error."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Validation:
    """Cross-validation: predictions of pairs that the predictor had not seen."""

    predicted: Values
    """Percent, shape ``(N,)``, each from a fit without that subnet."""
    measured: Values
    """Percent, shape ``(N,)``."""
    std: Values | None = None
    """Percentage points, shape ``(N,)``."""
    folds: int = 5
    """Number of fits."""

    @property
    def kendall(self) -> float:
        """Rank correlation tau-b."""
        return kendall_tau(self.predicted, self.measured)

    @property
    def rmse(self) -> float:
        """Root mean square error in percentage points."""
        return root_mean_square_error(self.predicted, self.measured)

    @property
    def mae(self) -> float:
        """Mean absolute error in percentage points."""
        return float(np.abs(self.predicted - self.measured).mean())

    @property
    def coverage(self) -> float | None:
        """Share of the pairs inside their 90 % interval."""
        if self.std is None:
            return None
        inside = np.abs(self.predicted - self.measured) <= INTERVAL_90 * self.std
        return float(inside.mean())

    @property
    def poor(self) -> str:
        """Why the predictor should not be relied on; empty where it may be."""
        if self.kendall >= LOWEST_KENDALL:
            return ""
        return (
            f"the accuracy predictor ranks held-out subnets with Kendall tau {self.kendall:.2f}, "
            f"below {LOWEST_KENDALL}; measure more accuracy pairs, on more images"
        )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Additive:
    """The part of a predictor that is a sum over few genes each, and bounds on the rest.

    For every canonical row, ``offset + sum(table[row[columns]]) + rest_low <= mean(row)
    <= offset + sum(table[row[columns]]) + rest_high``, in percent.
    """

    tables: tuple[tuple[tuple[int, ...], Values], ...]
    """Columns of genes, and the values with one axis for each of them."""
    offset: float
    """Percent."""
    rest_low: float = 0.0
    """The least that everything else adds."""
    rest_high: float = 0.0
    """The most that everything else adds."""


@runtime_checkable
class AccuracyPredictor(Protocol):
    """Predicts the accuracy of subnets of one space; every kind satisfies it."""

    @property
    def kind(self) -> str:
        """Its name in the registry."""
        ...

    @property
    def space(self) -> Space:
        """Of the subnets."""
        ...

    @property
    def validation(self) -> Validation | None:
        """Held-out error; None where it is not known, as of imported ones."""
        ...

    def predict(self, genes: Genes) -> Predicted:
        """Accuracies and their uncertainty of a population ``(N, G)``."""
        ...

    def mean(self, genes: Genes) -> Values:
        """Accuracies alone, in percent, shape ``(N,)``: what searches ask."""
        ...

    def additive(self) -> Additive | None:
        """Its additive part, for bounds; None where it has none."""
        ...

    def save(self, path: Path) -> None:
        """Write it, to be read by `load_predictor`."""
        ...
