"""``quality.json``: how good the subnets of a supernet are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from supernet.files import read_as, write_document
from supernet.metrics import kendall_tau

__all__ = [
    "FILE_NAME",
    "QualityFile",
    "SubnetQuality",
    "correlations",
    "read_quality",
    "write_quality",
]

FILE_NAME = "quality.json"
"""In a run's folder."""

_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetQuality:
    """One subnet, recalibrated and measured."""

    name: str
    """``smallest``, ``largest`` or ``random <number>``."""
    subnet: str
    """The architecture as text."""
    resolution: int
    """Input size in pixels."""
    macs: int
    """Multiply-adds for one image."""
    params: int
    """Learned values."""
    top1: float
    """Accuracy with the supernet's weights, in percent."""
    loss: float
    """Mean cross-entropy, in nats."""
    standalone_top1: float | None = None
    """Accuracy of the same network trained standalone, in percent; null where it was not."""
    standalone_loss: float | None = None
    """Likewise."""
    gap: float | None = None
    """``top1 - standalone_top1``, in points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFile:
    """What `supernet quality` found."""

    space: str
    """Name of the space."""
    space_hash: str
    """Content hash of the space."""
    weights: str
    """SHA-256 of the supernet's weights."""
    split: Literal["test", "holdout"]
    """The images that accuracies are of."""
    images: int
    """How many these are."""
    calibration_images: int
    """Training images that gave the batch norm statistics of each subnet."""
    seed: int
    """Of the random subnets."""
    standalone_epochs: float | None
    """Epochs of each network that was trained standalone; null where none was."""
    kendall_macs: float
    """Kendall's tau between accuracy and multiply-adds, over all subnets."""
    kendall_standalone: float | None
    """Kendall's tau between shared and standalone accuracies, where there are both."""
    mean_gap: float | None
    """Mean of their gaps, in points."""
    subnets: tuple[SubnetQuality, ...]
    """By multiply-adds, rising."""


def correlations(subnets: Sequence[SubnetQuality]) -> tuple[float, float | None, float | None]:
    """``kendall_macs``, ``kendall_standalone`` and ``mean_gap`` of these subnets."""
    top1 = np.array([subnet.top1 for subnet in subnets])
    macs = np.array([subnet.macs for subnet in subnets], dtype=np.float64)
    pairs = np.array(
        [(s.top1, s.standalone_top1) for s in subnets if s.standalone_top1 is not None]
    )
    if not len(pairs):
        return kendall_tau(top1, macs), None, None
    shared, standalone = pairs.T
    return (
        kendall_tau(top1, macs),
        kendall_tau(shared, standalone),
        float((shared - standalone).mean()),
    )


def write_quality(folder: Path, quality: QualityFile) -> Path:
    """Write ``quality.json`` into a run's folder; its path.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / FILE_NAME
    write_document(path, "quality", _VERSION, asdict(quality))
    return path


def read_quality(folder: Path) -> QualityFile | None:
    """The ``quality.json`` of a run's folder, if there is one.

    Raises:
        FileFormatError: not such a file.
        ConfigError: values that break rules; all problems at once.
    """
    path = folder / FILE_NAME
    return read_as(QualityFile, path, "quality", _VERSION) if path.exists() else None
