"""Accuracies of subnets of a run: looked up in its evidence, else measured by an engine."""

import math
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.evaluate import Engine, Evidence, InProcess, Split, Workers, tasks_of
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import (
    Domain,
    Genes,
    Space,
    count_subnets,
    largest,
    sample,
    smallest,
    subnet_keys,
    unique,
)

Values = npt.NDArray[np.float64]

__all__ = ["Accuracies", "check_count", "random_pairs"]


class Accuracies:
    """Measures subnets of a run on the images of a split, and keeps what it measured.

    Weights and images are loaded only when something has to be measured. Worker processes
    end with `close`, or at the end of a ``with`` block.

    Args:
        run: a trained one.
        device: where to measure.
        progress: told about every subnet.
        split: the images.
        images: how many of them at most; 0 for all.
        workers: processes that measure at the same time.
    """

    def __init__(
        self,
        run: Run,
        device: str = "cpu",
        progress: Progress = silent,
        *,
        split: Split = "holdout",
        images: int = 0,
        workers: int = 1,
    ) -> None:
        check_count("workers", workers, lowest=1)
        check_count("images", images, lowest=0)
        self.run, self.space, self._progress = run, run.space(), progress
        self._split, self._images = split, images
        self.condition = run.condition(split, images=images)
        self.evidence = Evidence(run.evidence)
        self._engine: Engine
        if workers == 1:
            self._engine = InProcess(partial(run.evaluator, device, progress=progress))
        else:
            self._engine = Workers(partial(run.evaluator, device), workers)

    def measure(self, genes: Genes) -> Values:
        """Accuracy in percent and loss of a population ``(N, G)``, shape ``(2, N)``.

        Every result is kept at once, so an interrupted collection goes on where it stopped.

        Raises:
            ConfigError: a subnet could not be measured.
        """
        keys = subnet_keys(self.space, genes)
        known = self.evidence.lookup(self.condition, keys)
        todo = {key: i for i, key in enumerate(keys) if math.isnan(known.top1[i])}
        done, failed = len(keys) - len(todo), 0
        tasks = tasks_of(
            self.space, genes[list(todo.values())], split=self._split, images=self._images
        )
        for result in self._engine.submit(tasks):
            if math.isnan(result.top1) or math.isnan(result.loss):
                failed += 1
            else:
                self.evidence.add(self.condition, [result])
                done += 1
            self._progress(done, len(keys), "evaluating subnets")
        if failed:
            raise ConfigError(
                f"{failed} of {len(keys)} subnets could not be measured: their process was "
                "killed twice, or their loss is not a number",
                hint="with less memory for each, --workers 1; the others are kept",
            )
        known = self.evidence.lookup(self.condition, keys)
        return np.stack([known.top1, known.loss])

    def close(self) -> None:
        """End the processes."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_count(name: str, value: int, *, lowest: int) -> None:
    """Refuse a number that is too small.

    Raises:
        ConfigError: it is below `lowest`.
    """
    if value < lowest:
        raise ConfigError(f"{name}: must be {lowest} or more, found {value}")


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
