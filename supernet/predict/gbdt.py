"""Gradient boosting of scikit-learn, over the choices and numbers that describe a subnet."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from supernet.errors import ConfigError, MissingPackageError
from supernet.predict._features import describe
from supernet.predict.contract import AccuracyPairs, Values
from supernet.space import Genes, Space, one_hot
from supernet.threads import loops_alone

__all__ = ["Boosted", "fit_gbdt", "load_gbdt"]

_SETTINGS: Mapping[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 200,
    "max_leaf_nodes": 12,
    "l2_regularization": 1.0,
    "max_features": 0.3,
}


class Boosted:
    """Gradient boosting that was fitted to pairs.

    A file keeps the pairs and the seed, and not the trees: these would be code of a
    certain version of scikit-learn.
    """

    def __init__(self, pairs: AccuracyPairs, seed: int) -> None:
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
        except ImportError:
            raise MissingPackageError(
                "predictors of kind 'gbdt' need the package scikit-learn, which is not installed",
                hint="pip install 'supernet[sklearn]'",
            ) from None
        self._space, self.seed = pairs.space, seed
        fewest = max(2, min(20, len(pairs) // 20))
        self._trees = HistGradientBoostingRegressor(
            **_SETTINGS, min_samples_leaf=fewest, random_state=seed, early_stopping=False
        )
        features = _features(pairs.space, pairs.genes)
        with loops_alone():
            self._trees.fit(features, pairs.target)
        self._mean = float(pairs.target.mean())

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        if not len(genes):
            return np.zeros(0)
        features = _features(self._space, genes)
        with loops_alone():
            found: Values = np.asarray(self._trees.predict(features))
        return found

    def std(self, genes: Genes) -> Values:
        """The same for all: trees do not know where they are wrong."""
        return np.ones(len(genes))

    def additive(self) -> None:
        """None."""

    def state(self) -> Mapping[str, Any]:
        """The seed."""
        return {"seed": self.seed}


def _features(space: Space, genes: Genes) -> Values:
    return np.concatenate([describe(space, genes), one_hot(space, genes)], axis=1)


def fit_gbdt(pairs: AccuracyPairs, seed: int = 0) -> Boosted:
    """Trees fitted to the pairs."""
    return Boosted(pairs, seed)


def load_gbdt(pairs: AccuracyPairs, state: Mapping[str, Any]) -> Boosted:
    """The same trees, fitted again."""
    seed = state.get("seed")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ConfigError(f"state.seed: must be a whole number from 0, found {seed!r}")
    return Boosted(pairs, seed)
