"""Accuracies of subnets of a run on images of its data set, measured once each."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from supernet.evaluate import Evaluations, Evaluator, Split, evaluate_all
from supernet.files import sha256
from supernet.progress import Progress
from supernet.runs import Run
from supernet.space import (
    Domain,
    Genes,
    Space,
    count_subnets,
    decode,
    largest,
    sample,
    smallest,
    unique,
)

Values = npt.NDArray[np.float64]

__all__ = ["CALIBRATION_IMAGES", "Accuracies", "random_pairs"]

CALIBRATION_IMAGES = 1000
"""Training images for the batch norm statistics of each subnet."""


class Accuracies:
    """Measures subnets of a run on the images of a split, and keeps what it measured.

    The weights and images are loaded only when something has to be measured.
    """

    def __init__(
        self,
        run: Run,
        space: Space,
        device: str,
        progress: Progress,
        *,
        split: Split = "holdout",
    ) -> None:
        self.run, self.space, self._device, self._progress = run, space, device, progress
        self._split = split
        self._known = Evaluations(
            run.folder / "evaluations.sqlite",
            weights=sha256(run.weights()),
            split=split,
            calibration_images=CALIBRATION_IMAGES,
        )

    def measure(self, genes: Genes) -> Values:
        """Accuracy in percent and loss of a population ``(N, G)``, shape ``(2, N)``."""
        subnets = decode(self.space, genes)
        scores = [score for subnet in subnets if (score := self._known.get(subnet))]
        if len(scores) < len(subnets):
            scores = evaluate_all(
                self._evaluator, subnets, self._split, self._known, self._progress
            )
        return np.array(scores, dtype=np.float64).reshape(-1, 2).T

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(
            self.run.supernet().to(self._device),
            self.run.dataset(self._progress),
            device=self._device,
            calibration_images=CALIBRATION_IMAGES,
        )


def random_pairs(space: Space, count: int, seed: int) -> Genes:
    """The corners of a space and random subnets, `count` different ones in all.

    Their sizes are spread over the whole range, since the front of a search runs from
    the smallest subnets to the largest. All subnets where the space has fewer; shape
    ``(count, G)``.
    """
    rng = np.random.default_rng(seed)
    genes = np.concatenate([largest(space), smallest(space)])
    while len(genes) < min(count, count_subnets(space)):
        more = [Domain.of(space).sample_spread(count, rng), sample(space, count // 8 + 1, rng)]
        genes = unique(np.concatenate([genes, *more]))[:count]
    return genes
