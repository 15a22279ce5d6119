"""A file against the network that it was made from, on real images."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from supernet.export.contract import Logits, OpenedModel, Sample
from torch import nn

from supernet.metrics import percent_true

__all__ = ["ONE_OF", "Verification", "compared", "torch_logits", "verify"]

ONE_OF = {"logits": "logit", "probabilities": "probability"}
"""What one output is called, by what a file gives."""
_USUAL = 10.0  # logits of a trained network
_SUSPECT = 1e-4  # difference from which on torch's own rounding is looked at
_TIMES = 4.0  # torch's own rounding: a runtime adds in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a file computes against what torch computes, on the same images."""

    images: int
    max_abs_diff: float
    """Largest absolute difference of any logit or probability; NaN where the file gives what is no
    number."""
    largest: float
    """Largest absolute logit or probability of torch."""
    top1: float
    """Accuracy of the file, percent."""
    torch_top1: float
    """Accuracy of the torch network, percent."""
    agreement: float
    """Images whose best class is the same in both, percent."""
    rounding: float = 0.0
    """Largest difference of torch from itself in double precision; 0 where it was not looked at.
    Batch norms of many layers may make what is rounded a thousand times larger."""

    def refused(self, tolerance: float, output: str = "logits") -> str:
        """Why the file does not compute the network; empty where it does.

        Args:
            tolerance: largest difference that is rounding where logits are up to 10; it grows with
                them, and with torch's own rounding. Probabilities are off by half as much at most.
            output: what it gives, a key of `ONE_OF`.
        """
        allowed = max(tolerance * max(1.0, self.largest / _USUAL), _TIMES * self.rounding)
        if not np.isfinite(self.largest):
            return f"torch gives {output} that are not finite: the weights are damaged"
        if not np.isfinite(self.max_abs_diff):
            return f"it gives {output} that are not finite where torch's are"
        if self.max_abs_diff > allowed:
            return (
                f"it and torch differ by {self.max_abs_diff:.2g} in a {ONE_OF[output]}, more than "
                f"{allowed:.2g} where {output} are up to {self.largest:.3g}"
            )
        return ""


def verify(
    model: OpenedModel, network: nn.Module, sample: Sample, *, precision: str = "fp32"
) -> Verification:
    """Compare a file with the network it was made from.

    Args:
        model: the file in its runtime.
        network: on the CPU, in eval mode; reads what the file reads.
        sample: images and their classes.
        precision: of the file; what torch rounds is looked at for ``fp32`` alone.
    """
    expected = torch_logits(network, sample)
    found = compared(model.logits(sample.batches), expected, sample)
    suspect = precision == "fp32" and found.refused(_SUSPECT)
    if suspect and np.isfinite(found.max_abs_diff):
        return replace(found, rounding=_rounding(network, sample, expected))
    return found


@torch.inference_mode()
def _rounding(network: nn.Module, sample: Sample, expected: Logits) -> float:
    """How far torch's outputs are from those in double precision; 0 of networks that read bytes."""
    exact, start, most = copy.deepcopy(network).double(), 0, 0.0
    for batch in sample.batches:
        if not batch.is_floating_point():
            return 0.0
        rows = exact(batch.double()).cpu().numpy()
        most = max(most, float(np.abs(rows - expected[start : start + len(rows)]).max()))
        start += len(rows)
    return most


@torch.inference_mode()
def torch_logits(network: nn.Module, sample: Sample) -> Logits:
    """Outputs of a torch network, shape ``(N, classes)``."""
    return np.concatenate([network(batch).cpu().numpy() for batch in sample.batches])


def compared(found: Logits, expected: Logits, sample: Sample) -> Verification:
    """Outputs of a file beside those of torch, each ``(N, classes)``."""
    best, wanted = found.argmax(axis=1), expected.argmax(axis=1)
    with np.errstate(invalid="ignore"):  # of what is infinite
        difference = float(np.abs(found - expected).max())
    return Verification(
        images=len(sample.labels),
        max_abs_diff=difference,
        largest=float(np.abs(expected).max()),
        top1=percent_true(best == sample.labels),
        torch_top1=percent_true(wanted == sample.labels),
        agreement=percent_true(best == wanted),
    )
