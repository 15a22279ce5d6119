"""A file against the network that it was made from, on real images."""

from dataclasses import dataclass

import numpy as np
import torch
from supernet.export.contract import Logits, OpenedModel, Sample
from torch import nn

from supernet.metrics import percent_true

__all__ = ["Verification", "compared", "torch_logits", "verify"]

_USUAL = 10.0  # logits of a trained network


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a file computes against what torch computes, on the same images."""

    images: int
    max_abs_diff: float
    """Largest absolute difference of any logit; NaN where the file gives what is no number."""
    largest: float
    """Largest absolute logit of torch."""
    top1: float
    """Accuracy of the file, percent."""
    torch_top1: float
    """Accuracy of the torch network, percent."""
    agreement: float
    """Images whose best class is the same in both, percent."""

    def refused(self, tolerance: float) -> str:
        """Why the file does not compute the network; empty where it does.

        Args:
            tolerance: largest difference that is rounding where logits are up to 10; it grows with
                them.
        """
        allowed = tolerance * max(1.0, self.largest / _USUAL)
        if not np.isfinite(self.largest):
            return "torch gives logits that are not finite: the weights are damaged"
        if not np.isfinite(self.max_abs_diff):
            return "it gives logits that are not finite where torch's are"
        if self.max_abs_diff > allowed:
            return (
                f"it and torch differ by {self.max_abs_diff:.2g} in a logit, more than "
                f"{allowed:.2g} where logits are up to {self.largest:.3g}"
            )
        return ""


def verify(model: OpenedModel, network: nn.Module, sample: Sample) -> Verification:
    """Compare a file with the network it was made from.

    Args:
        model: the file in its runtime.
        network: on the CPU, in eval mode; reads what the file reads.
        sample: images and their classes.
    """
    return compared(model.logits(sample.batches), torch_logits(network, sample), sample)


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
