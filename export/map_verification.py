"""A backbone's file against the network that it was made from, map by map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from supernet.export.contract import OpenedModel
from torch import Tensor, nn

__all__ = ["MapCheck", "refused", "verify_maps"]

_TOLERANCE = 1e-4  # of the largest value of a map, in fp32


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCheck:
    """One output of a file beside torch's."""

    shape: tuple[int, ...]
    """``(C, H, W)``."""
    max_abs_diff: float
    """Largest difference of any value; NaN where the file gives what is no number."""
    largest: float
    """Largest absolute value of torch."""

    @property
    def relative(self) -> float:
        """The difference as a share of the largest value."""
        return self.max_abs_diff / max(self.largest, 1e-30)


@torch.inference_mode()
def verify_maps(
    model: OpenedModel, network: nn.Module, names: Sequence[str], batches: Sequence[Tensor]
) -> dict[str, MapCheck]:
    """Compare the outputs of a file with those of the network that it was made from.

    Args:
        model: the file in its runtime.
        network: on the CPU, in eval mode; gives a list of maps.
        names: of the outputs, in its order.
        batches: of images as both read them, ``(n, C, H, W)`` each.
    """
    assert model.maps is not None
    found: dict[str, MapCheck] = {}
    for image in [image[None] for batch in batches for image in batch]:
        copies = model.input.batch or 1
        images = image.expand(copies, *image.shape[1:]) if copies > 1 else image
        theirs = model.maps(model.input.arrange(images.numpy()))
        for name, wanted in zip(names, network(image), strict=True):
            own = MapCheck(
                shape=tuple(wanted.shape[1:]),
                max_abs_diff=_difference(theirs, name, wanted),
                largest=float(wanted.abs().max()),
            )
            found[name] = _worst(found.get(name, own), own)
    return found


def _difference(theirs: Mapping[str, np.ndarray], name: str, wanted: Tensor) -> float:
    """Largest difference; infinite where there is no such output, or one of another shape."""
    if name not in theirs or theirs[name].shape[1:] != wanted.shape[1:]:
        return float("inf")
    return float(np.abs(theirs[name][:1] - wanted.numpy()).max())


def _worst(one: MapCheck, other: MapCheck) -> MapCheck:
    return MapCheck(
        shape=one.shape,
        max_abs_diff=float(np.maximum(one.max_abs_diff, other.max_abs_diff)),  # keeps NaN
        largest=float(np.maximum(one.largest, other.largest)),
    )


def refused(checks: Mapping[str, MapCheck]) -> str:
    """Why a file does not compute the network; empty where it does."""
    for name, check in checks.items():
        if not np.isfinite(check.largest):
            return f"torch gives values in {name} that are not finite: the weights are damaged"
        if not check.relative <= _TOLERANCE:
            return (
                f"{name} and torch's differ by {check.max_abs_diff:.2g}, more than "
                f"{_TOLERANCE * check.largest:.2g} where values are up to {check.largest:.3g}"
            )
    return ""
