"""A predictor that was fitted to pairs, of any kind, and its file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from supernet.errors import ConfigError, FileFormatError
from supernet.files import read_as, write_document
from supernet.predict._kinds import KINDS
from supernet.predict._model import Model
from supernet.predict.contract import (
    AccuracyPairs,
    Additive,
    Predicted,
    Validation,
    Values,
    check_genes,
)
from supernet.predict.ensemble import load_ensemble
from supernet.predict.space_id import SpaceId
from supernet.space import Genes, Space
from supernet.space.layout import layout_of

__all__ = ["FittedPredictor", "load_fitted"]

_VERSION = 2


@dataclass(frozen=True, eq=False, slots=True, kw_only=True, repr=False)
class FittedPredictor:
    """An accuracy predictor that was fitted to pairs."""

    kind: str
    """Its name in the registry."""
    pairs: AccuracyPairs
    """That it learned."""
    model: Model
    """That predicts."""
    scale: float = 1.0
    """What the model's uncertainty is multiplied by, so that intervals hold."""
    validation: Validation | None = None
    """Held-out error by cross-validation."""

    @property
    def space(self) -> Space:
        """Of the subnets."""
        return self.pairs.space

    def predict(self, genes: Genes) -> Predicted:
        """Accuracies and their uncertainty of a canonical population ``(N, G)``."""
        mean = self.mean(genes)
        std = None if self.validation is None else self.scale * self.model.std(genes)
        return Predicted(mean=mean, std=std)

    def mean(self, genes: Genes) -> Values:
        """Accuracies alone, in percent, shape ``(N,)``.

        Raises:
            ConfigError: genes of another shape, or outside the choices of the space.
        """
        check_genes(genes, self.pairs.genes.shape[1])
        try:
            return self.model.mean(genes)
        except IndexError:
            raise ConfigError(
                f"genes: some are no choices of space {self.space.name!r}",
                hint="supernet.space.encode makes the genes of subnets",
            ) from None

    def additive(self) -> Additive | None:
        """Its additive part, for bounds; None where it has none."""
        return self.model.additive()

    def __repr__(self) -> str:
        error = f", {self.validation.kendall:.3f} tau" if self.validation else ""
        return f"<{self.kind} predictor of {self.space.name}, {len(self.pairs)} pairs{error}>"

    def save(self, path: Path) -> None:
        """Write pairs, state and validation, from which it is made again on loading."""
        pairs = self.pairs
        losses = [None] * len(pairs) if pairs.loss is None else pairs.loss.tolist()
        body: dict[str, Any] = {
            "kind": self.kind,
            "space": {"name": self.space.name, "hash": self.space.hash},
            "genes": [gene.name for gene in layout_of(self.space).genes],
            "scale": self.scale,
            "state": self.model.state(),
            "validation": _validation_body(self.validation),
            "pairs": [
                {"genes": row, "top1": top1, "loss": loss}
                for row, top1, loss in zip(pairs.genes.tolist(), pairs.top1.tolist(), losses)
            ],
        }
        write_document(path, "predictor", _VERSION, body)


def _validation_body(validation: Validation | None) -> dict[str, Any] | None:
    if validation is None:
        return None
    columns = {"predicted": validation.predicted, "measured": validation.measured}
    found: dict[str, Any] = {name: values.round(4).tolist() for name, values in columns.items()}
    std = None if validation.std is None else validation.std.round(5).tolist()
    return found | {"std": std, "folds": validation.folds}


def load_fitted(path: Path, space: Space) -> FittedPredictor:
    """Read a predictor that was fitted to pairs.

    Raises:
        FileFormatError: damaged, or of another space.
        ConfigError: values that break rules.
    """
    body = read_as(_Body, path, "predictor", _VERSION)
    layout = layout_of(space)
    names = tuple(gene.name for gene in layout.genes)
    body.space.check(path, space)
    if body.genes != names:
        raise FileFormatError(f"{path}: genes: not the dimensions of space {space.name!r}")
    if any(len(pair.genes) != len(names) for pair in body.pairs):
        raise FileFormatError(f"{path}: every pair needs {len(names)} genes")
    choices = layout.num_choices.tolist()
    if any(not 0 <= g < n for pair in body.pairs for g, n in zip(pair.genes, choices)):
        raise FileFormatError(f"{path}: a gene is outside the choices of its dimension")
    if not body.pairs:
        raise FileFormatError(f"{path}: holds no pairs")
    try:
        pairs = _pairs(space, body)
        model = _loader(body.kind)(pairs, body.state)
        validation = None if body.validation is None else body.validation.value()
    except ConfigError as error:
        raise FileFormatError(f"{path}: {error}", hint=error.hint) from None
    except np.linalg.LinAlgError:
        raise FileFormatError(f"{path}: state: these parameters cannot be solved for") from None
    return FittedPredictor(
        kind=body.kind, pairs=pairs, model=model, scale=body.scale, validation=validation
    )


def _loader(kind: str) -> Callable[[AccuracyPairs, Mapping[str, Any]], Model]:
    if kind == "ensemble":
        return load_ensemble
    if kind not in KINDS:
        raise ConfigError(f"kind: must be one of {', '.join(KINDS)}, ensemble; found {kind[:60]!r}")
    return KINDS[kind].load


def _pairs(space: Space, body: "_Body") -> AccuracyPairs:
    genes = np.array([pair.genes for pair in body.pairs], dtype=np.int8)
    losses = [pair.loss for pair in body.pairs if pair.loss is not None]
    return AccuracyPairs(
        space=space,
        genes=genes.reshape(len(body.pairs), -1),
        top1=np.array([pair.top1 for pair in body.pairs]),
        loss=np.array(losses) if len(losses) == len(body.pairs) else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    genes: tuple[int, ...]
    top1: float
    loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Validation:
    predicted: tuple[float, ...]
    measured: tuple[float, ...]
    folds: int
    std: tuple[float, ...] | None = None

    def value(self) -> Validation:
        """As a value."""
        counts = {len(self.predicted), len(self.measured)}
        counts |= {len(self.std)} if self.std is not None else set()
        if len(counts) != 1 or not self.predicted:
            raise ConfigError("validation: its columns must have the same length")
        return Validation(
            predicted=np.array(self.predicted),
            measured=np.array(self.measured),
            std=None if self.std is None else np.array(self.std),
            folds=self.folds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    space: SpaceId
    genes: tuple[str, ...]
    pairs: tuple[_Pair, ...]
    kind: str = "gp"
    scale: float = 1.0
    state: dict[str, Any] = field(default_factory=dict)
    validation: _Validation | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale < 1e12:
            raise ConfigError(f"scale: must be above 0, found {self.scale}")
