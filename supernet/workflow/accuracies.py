"""Accuracies of subnets of a run: looked up in its evidence, else measured by an engine."""

import math
import warnings
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.evaluate import (
    CALIBRATION_IMAGES,
    Engine,
    Evidence,
    Split,
    evaluate_all,
    tasks_of,
)
from supernet.progress import FailedWarning, Progress, silent
from supernet.runs import Run
from supernet.space import (
    Domain,
    Genes,
    Precision,
    Space,
    count_subnets,
    largest,
    sample,
    smallest,
    subnet_keys,
    unique,
)
from supernet.space.layout import layout_of
from supernet.workflow.engines import EngineRequest, check_count, open_engine

Values = npt.NDArray[np.float64]

_TOLD = 3  # reasons why subnets could not be measured

__all__ = ["Accuracies", "first_pairs", "random_pairs"]


class Accuracies:
    """Measures subnets of a run on the images of a split, and keeps what it measured.

    Weights and images are loaded only when something has to be measured. Several threads may
    ask at once. Workers end with `close`, or at the end of a ``with`` block.

    Args:
        run: a trained one.
        engine: which to open here, this process when not given; or one that is open, and stays so.
        progress: told about every subnet.
        split: the images.
        images: how many of them at most; 0 for all.
        calibration_images: for the batch norm statistics, at most.
        finetune_epochs: passes over the training images before each is measured.
        precision: ``int8`` for the accuracies that exported int8 files have.
    """

    def __init__(
        self,
        run: Run,
        engine: EngineRequest | Engine | None = None,
        progress: Progress = silent,
        *,
        split: Split = "holdout",
        images: int = 0,
        calibration_images: int = CALIBRATION_IMAGES,
        finetune_epochs: float = 0.0,
        precision: Precision = "fp32",
    ) -> None:
        check_count("images", images, lowest=0)
        self.run, self.space, self._progress = run, run.space(), progress
        self.condition = run.condition(
            split,
            images=images,
            calibration_images=calibration_images,
            finetune_epochs=finetune_epochs,
            precision=precision,
        )
        self._precision = precision
        self._epochs = finetune_epochs
        self.evidence = Evidence(run.evidence)
        self._own: Engine | None = None
        if engine is None or isinstance(engine, EngineRequest):
            engine = self._own = open_engine(run, engine, progress)
        self._engine = engine

    def measure(self, genes: Genes) -> Values:
        """Accuracy in percent and loss of a population ``(N, G)``, shape ``(2, N)``.

        Every result is kept at once, so an interrupted collection goes on where it stopped.

        Raises:
            ConfigError: a subnet could not be measured.
        """
        found, why = self._measured(genes, self._progress)
        failed = int(np.isnan(found[0]).sum())
        if failed:
            raise ConfigError(
                f"{failed} of {len(genes)} subnets could not be measured: {why}",
                hint="the others are kept: the same command measures these alone",
            )
        return found

    def known(self, genes: Genes) -> Values:
        """Accuracy in percent where it was measured before, else NaN, shape ``(N,)``."""
        return self.evidence.lookup(self.condition, subnet_keys(self.space, genes)).top1

    def top1(self, genes: Genes) -> Values:
        """Accuracy in percent, shape ``(N,)``; NaN where it could not be measured.

        For searches, which tell of their progress themselves, and go on. Why one could not be
        measured is a warning.
        """
        found, why = self._measured(genes, silent)
        if why:
            told = f"a subnet could not be measured, and counts as failed: {why}"
            warnings.warn(told, FailedWarning, stacklevel=2)
        top1: Values = found[0]
        return top1

    def close(self) -> None:
        """End what was started."""
        if self._own:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _measured(self, genes: Genes, progress: Progress) -> tuple[Values, str]:
        """As `measure`; NaN where it failed, and why."""
        keys = subnet_keys(self.space, genes)
        known = self.evidence.lookup(self.condition, keys)
        todo = {key: i for i, key in enumerate(keys) if math.isnan(known.top1[i])}
        if not todo:
            return np.stack([known.top1, known.loss]), ""
        done = len(keys) - len(todo)
        tasks = tasks_of(
            self.space,
            genes[list(todo.values())],
            split=self.condition.split,
            images=self.condition.images,
            calibration_images=self.condition.calibration_images,
            finetune_epochs=self._epochs,
            precision=self._precision,
        )
        reasons: set[str] = set()
        for result in evaluate_all(self._engine, tasks):
            if math.isnan(result.top1) or math.isnan(result.loss):
                reasons.add(result.reason or "its loss is not a number")
            else:
                self.evidence.add(self.condition, [result])
                done += 1
            progress(done, len(keys), "evaluating subnets")
        known = self.evidence.lookup(self.condition, keys)
        return np.stack([known.top1, known.loss]), "; ".join(sorted(reasons)[:_TOLD])


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


def first_pairs(domain: Domain, count: int, seed: int) -> Genes:
    """Subnets of all sizes, and the largest of each input size; shape ``(count, G)``.

    Most trainings have the largest subnet in every step, and at each input size it keeps much of
    that: a model of single choices alone would think too little of it. These take half of
    the pairs at most.
    """
    column = layout_of(domain.space).resolution.column
    first = domain.largest()
    if column >= 0:
        sizes = domain.allowed[column]
        ranks = np.linspace(len(sizes) - 1, 0, max(1, min(len(sizes), count // 2)))
        first = first.repeat(len(ranks), axis=0)
        first[:, column] = np.array(sizes)[np.rint(ranks).astype(int)]
    return unique(np.concatenate([first, random_pairs(domain.space, count, seed)]))[:count]
