"""A Gaussian process over subnets: good from a hundred accuracy pairs on.

The kernel is a sum of a linear and a squared-exponential part over the one-hot
encoding, so that what every choice adds by itself and what choices do together are
both learned (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006,
ch. 2 and 5). Its few parameters maximise the marginal likelihood over a grid.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError, FileFormatError
from supernet.files import read_as, write_document
from supernet.predict.metrics import kendall_tau, root_mean_square_error
from supernet.space import Genes, Space, one_hot
from supernet.space.layout import layout_of

__all__ = ["AccuracyPredictor", "CrossValidation", "cross_validate"]

_VERSION = 1
_CHUNK = 8192
_FEWEST = 8  # pairs that a predictor is fitted to
_LINEAR = (0.0, 0.3, 1.0)  # share of the linear part in the signal
_NOISE = (0.02, 0.05, 0.1, 0.2, 0.4)  # variance of the labels' noise / of the signal
_LENGTH = (0.7, 1.0, 1.5, 2.5)  # length of the squared-exponential part / median distance

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """Predictions for subnets that the predictor had not seen."""

    predicted: Values
    """Percent, shape ``(N,)``, each from a fit without that subnet."""
    measured: Values
    """Percent, shape ``(N,)``."""
    folds: int

    @property
    def kendall(self) -> float:
        """Rank correlation."""
        return kendall_tau(self.predicted, self.measured)

    @property
    def rmse(self) -> float:
        """Percentage points."""
        return root_mean_square_error(self.predicted, self.measured)


class AccuracyPredictor:
    """Predicts the accuracy of subnets from measured pairs.

    Args:
        space: of the subnets.
        genes: measured subnets, shape ``(N, G)``, at least 8.
        top1: their accuracies in percent, shape ``(N,)``.
        loss: their losses on the same images, shape ``(N,)``. An accuracy counts whole
            images: that of 2,000 is uncertain by more than good subnets differ. A loss
            weighs each of them, and ranks subnets better on images that neither has
            seen; where it is given, the process learns the loss, and a straight line
            between the two turns it into an accuracy.

    Raises:
        ConfigError: fewer than 8 pairs, an accuracy outside 0 to 100, or a loss that is
            not finite.
    """

    def __init__(
        self, space: Space, genes: Genes, top1: Values, loss: Values | None = None
    ) -> None:
        if len(genes) < _FEWEST or len(genes) != len(top1):
            raise ConfigError(
                f"a predictor needs at least {_FEWEST} accuracy pairs, found {len(genes)}"
            )
        if not ((top1 >= 0) & (top1 <= 100)).all():
            raise ConfigError("accuracies must be from 0 to 100 percent")
        if loss is not None and not np.isfinite(loss).all():
            raise ConfigError("losses must be finite")
        self.space, self.genes, self.top1, self.loss = space, genes, top1, loss
        self._target = top1 if loss is None else _on_line(top1, loss)
        self._features = self._encode(genes)
        self._mean, self._scale = float(self._target.mean()), float(self._target.std()) or 1.0
        self._linear, self._length, noise = self._choose()
        kernel = self._kernel(self._features, self._linear, self._length)
        self._cholesky = np.linalg.cholesky(kernel + noise * np.eye(len(genes)))
        self._weights = _solve(self._cholesky, (self._target - self._mean) / self._scale)

    def predict(self, genes: Genes) -> Values:
        """Accuracies of a population ``(N, G)`` in percent, shape ``(N,)``."""
        out = np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            features = self._encode(genes[start : start + _CHUNK])
            kernel = self._kernel(features, self._linear, self._length)
            out[start : start + _CHUNK] = kernel @ self._weights
        return self._mean + self._scale * out

    def save(self, path: Path) -> None:
        """Write the pairs, from which the predictor is made again on loading."""
        layout = layout_of(self.space)
        losses = [None] * len(self.genes) if self.loss is None else self.loss.tolist()
        body = {
            "space": {"name": self.space.name, "hash": self.space.hash},
            "genes": [gene.name for gene in layout.genes],
            "pairs": [
                {"genes": row, "top1": round(top1, 4), "loss": loss}
                for row, top1, loss in zip(self.genes.tolist(), self.top1.tolist(), losses)
            ],
        }
        write_document(path, "predictor", _VERSION, body)

    @classmethod
    def load(cls, path: Path, space: Space) -> "AccuracyPredictor":
        """Read a predictor.

        Raises:
            FileFormatError: damaged, or of another space.
            ConfigError: values that break rules; all problems at once.
        """
        body = read_as(_Body, path, "predictor", _VERSION)
        layout = layout_of(space)
        names = tuple(gene.name for gene in layout.genes)
        if body.space.hash != space.hash or body.genes != names:
            raise FileFormatError(f"{path}: of space {body.space.name!r}, not of {space.name!r}")
        shape = (len(body.pairs), len(names))
        if any(len(pair.genes) != len(names) for pair in body.pairs):
            raise FileFormatError(f"{path}: every pair needs {len(names)} genes")
        choices = layout.num_choices.tolist()
        if any(not 0 <= g < n for pair in body.pairs for g, n in zip(pair.genes, choices)):
            raise FileFormatError(f"{path}: a gene is outside the choices of its dimension")
        genes = np.array([pair.genes for pair in body.pairs], dtype=np.int8).reshape(shape)
        losses = [pair.loss for pair in body.pairs if pair.loss is not None]
        loss = np.array(losses) if len(losses) == len(body.pairs) else None
        return cls(space, genes, np.array([pair.top1 for pair in body.pairs]), loss)

    def _encode(self, genes: Genes) -> Values:
        return one_hot(self.space, genes).astype(np.float64)

    def _kernel(self, features: Values, linear: float, length: float) -> Values:
        """Between rows of `features` and the measured subnets, shape ``(N, M)``."""
        own = self._features
        product = features @ own.T
        squared = (features**2).sum(1)[:, None] + (own**2).sum(1)[None] - 2 * product
        scale = float((own**2).sum(1).mean())
        near: Values = np.exp(-squared / (2 * length**2))
        total: Values = linear * product / scale + (1 - linear) * near
        return total

    def _choose(self) -> tuple[float, float, float]:
        """Kernel parameters of the highest marginal likelihood."""
        target = (self._target - self._mean) / self._scale
        own = self._features
        distance = (own**2).sum(1)[:, None] + (own**2).sum(1)[None] - 2 * own @ own.T
        median = float(np.sqrt(np.median(distance[distance > 0]))) if distance.any() else 1.0
        best, chosen = -np.inf, (1.0, median, _NOISE[-1])
        for linear, length in itertools.product(_LINEAR, _LENGTH):
            kernel = self._kernel(own, linear, length * median)
            eigenvalues, vectors = np.linalg.eigh(kernel)
            projected = np.square(vectors.T @ target)
            for noise in _NOISE:
                spectrum = np.maximum(eigenvalues, 0) + noise
                # the signal's scale has a closed form, the mean below
                scale = float((projected / spectrum).mean()) + 1e-12
                likelihood = -0.5 * (len(target) * np.log(scale) + np.log(spectrum).sum())
                if likelihood > best:
                    best, chosen = likelihood, (linear, length * median, noise)
        return chosen


def _on_line(top1: Values, loss: Values) -> Values:
    """Accuracies that the losses stand for, by least squares; `top1` where they say nothing."""
    spread = float(loss.std())
    slope = float(((top1 - top1.mean()) * (loss - loss.mean())).mean()) / (spread**2 or 1.0)
    return top1 if slope >= 0 else top1.mean() + slope * (loss - loss.mean())


def _solve(cholesky: npt.NDArray[np.floating[Any]], right: Values) -> Values:
    halfway = np.linalg.solve(cholesky, right)
    return np.asarray(np.linalg.solve(cholesky.T, halfway), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpaceId:
    name: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    genes: tuple[int, ...]
    top1: float
    loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    space: _SpaceId
    genes: tuple[str, ...]
    pairs: tuple[_Pair, ...]


def cross_validate(
    space: Space,
    genes: Genes,
    top1: Values,
    loss: Values | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
) -> CrossValidation:
    """Predict every pair by a predictor that was fitted without it.

    Raises:
        ConfigError: fewer than 10 pairs.
    """
    if len(genes) < _FEWEST + 2:
        raise ConfigError(
            f"checking a predictor needs at least {_FEWEST + 2} accuracy pairs, found {len(genes)}"
        )
    fold = np.random.default_rng(seed).permutation(len(genes)) % folds
    predicted = np.empty(len(genes))
    for k in range(folds):
        held = fold == k
        rest = ~held
        losses = None if loss is None else loss[rest]
        predictor = AccuracyPredictor(space, genes[rest], top1[rest], losses)
        predicted[held] = predictor.predict(genes[held])
    return CrossValidation(predicted=predicted, measured=top1, folds=folds)
