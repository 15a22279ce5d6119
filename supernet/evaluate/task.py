"""What is to be evaluated, and what came out."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from supernet.space import Genes, Precision, Space, Subnet, decode

__all__ = ["CALIBRATION_IMAGES", "Evaluation", "EvaluationTask", "Split", "failed", "tasks_of"]

Split: TypeAlias = Literal["holdout", "test"]

CALIBRATION_IMAGES = 1000
"""Training images for the batch norm statistics of a subnet, at most, wherever one is
evaluated, exported or a teacher. `benchmarks/README.md` has the error over their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationTask:
    """One subnet to measure."""

    subnet: Subnet
    genes: tuple[int, ...]
    """The same as a row of genes."""
    split: Split = "holdout"
    images: int = 0
    """How many of the split's images at most; 0 for all."""
    calibration_images: int = CALIBRATION_IMAGES
    """Training images for the batch norm statistics, at most."""
    finetune_epochs: float = 0.0
    """Passes over the training images before it is measured."""
    precision: Precision = "fp32"
    """Of the computation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured of one subnet; NaN where the measuring failed."""

    key: str
    """`Subnet.key`."""
    genes: tuple[int, ...]
    top1: float
    """Percent."""
    loss: float
    """Mean cross-entropy in nats."""
    seconds: float
    """Wall time of calibration and evaluation."""
    reason: str = ""
    """Why the measuring failed, where it is known."""


def tasks_of(
    space: Space,
    genes: Genes,
    *,
    split: Split = "holdout",
    images: int = 0,
    calibration_images: int = CALIBRATION_IMAGES,
    finetune_epochs: float = 0.0,
    precision: Precision = "fp32",
) -> list[EvaluationTask]:
    """One task for every row of a population ``(N, G)``."""
    rows = np.asarray(genes).tolist()
    return [
        EvaluationTask(
            subnet=subnet,
            genes=tuple(row),
            split=split,
            images=images,
            calibration_images=calibration_images,
            finetune_epochs=finetune_epochs,
            precision=precision,
        )
        for subnet, row in zip(decode(space, genes), rows)
    ]


def failed(task: EvaluationTask, reason: str = "") -> Evaluation:
    """What comes back of a task that cannot be measured.

    Args:
        task: that was tried.
        reason: why, where it is known.
    """
    nan = math.nan
    return Evaluation(
        key=task.subnet.key, genes=task.genes, top1=nan, loss=nan, seconds=nan, reason=reason
    )
