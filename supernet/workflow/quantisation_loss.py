"""A predictor of accuracies on 8-bit integers: a float one, less what quantisation costs."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from supernet.errors import ConfigError
from supernet.predict import AccuracyPredictor, FittedPredictor, fit_predictor
from supernet.predict.contract import AccuracyPairs, Additive, Predicted, Validation, Values
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import Genes, Precision, Space
from supernet.workflow.accuracies import Accuracies, random_pairs
from supernet.workflow.engines import EngineRequest
from supernet.workflow.request import SearchRequest

__all__ = ["QUANTISED_PAIRS", "Int8Predictor", "learn_int8_predictor"]

QUANTISED_PAIRS = 30
"""Subnets that are measured in both precisions."""
_KIND = "ridge"  # the cost is small and smooth: additive terms, drawn to their mean
_SHIFT = 50.0  # percent; accuracy pairs must lie from 0 to 100


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Int8Predictor:
    """Accuracy in int8: that in float, less a predicted loss.

    The loss is predicted from fewer subnets than the accuracy, since it differs little between
    them: where the pairs do not show that it differs at all, it is their mean.
    """

    base: AccuracyPredictor
    """Of accuracies in float."""
    lost: FittedPredictor
    """Of ``50 + points lost``."""
    mean_lost: float
    """Over the subnets that were measured, in points."""

    @property
    def space(self) -> Space:
        """Of the subnets."""
        return self.base.space

    @property
    def kind(self) -> str:
        """As in the list of kinds, of the float predictor."""
        return self.base.kind

    @property
    def validation(self) -> Validation | None:
        """That of the float predictor: few subnets are measured in int8."""
        return self.base.validation

    def mean(self, genes: Genes) -> Values:
        """Percent, shape ``(N,)``."""
        found: Values = self.base.mean(genes) - self.lost_points(genes)
        return found

    def predict(self, genes: Genes) -> Predicted:
        """Percent, with the error of the float predictor where it knows one."""
        found = self.base.predict(genes)
        return Predicted(mean=found.mean - self.lost_points(genes), std=found.std)

    def additive(self) -> Additive | None:
        """None: nothing is known that would bound it."""
        return None

    def save(self, path: Path) -> None:
        """Refuse: it is made for a search, from what the evidence of the run keeps.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{path}: a predictor of accuracies in int8 is not kept as a file")

    def lost_points(self, genes: Genes) -> Values:
        """Points lost by quantisation, shape ``(N,)``."""
        checked = self.lost.validation
        assert checked is not None
        spread = float(np.std(checked.measured))
        if checked.rmse >= spread:  # no better than the mean
            return np.full(len(genes), self.mean_lost)
        found: Values = self.lost.mean(genes) - _SHIFT
        return found


def learn_int8_predictor(
    run: Run, request: SearchRequest, base: AccuracyPredictor, progress: Progress = silent
) -> Int8Predictor:
    """Measure subnets of all sizes in both precisions, and learn what quantisation costs.

    Args:
        run: a trained one with images.
        request: of the search; its images and seed.
        base: of accuracies in float.
        progress: told about every measurement.
    """
    genes = random_pairs(run.space(), QUANTISED_PAIRS, request.seed + 1)
    engine = EngineRequest(device=request.device)
    top1 = []
    for precision in get_args(Precision):
        with Accuracies(
            run, engine, progress, images=request.images, precision=precision
        ) as accuracies:
            top1.append(accuracies.measure(genes)[0])
    lost = top1[0] - top1[1]
    pairs = AccuracyPairs(space=run.space(), genes=genes, top1=np.clip(_SHIFT + lost, 0, 100))
    fitted = fit_predictor(pairs, _KIND, seed=request.seed)
    return Int8Predictor(base=base, lost=fitted, mean_lost=float(lost.mean()))
