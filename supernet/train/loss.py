"""Losses of a training step."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["distillation_loss"]


def distillation_loss(
    logits: Tensor, labels: Tensor, teacher: Tensor | None, *, weight: float, smoothing: float
) -> Tensor:
    """Cross-entropy with the labels, and with the teacher's distribution.

    Args:
        logits: shape ``(N, classes)``.
        labels: class indices, shape ``(N,)``.
        teacher: logits of the teacher, shape ``(N, classes)``, without gradient.
        weight: share of the teacher, 0 to 1 (arXiv:1503.02531, temperature 1).
        smoothing: of the hard labels (arXiv:1512.00567).

    Returns:
        The mean over the batch, a scalar.
    """
    hard = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if teacher is None or not weight:
        return hard
    soft = F.cross_entropy(logits, teacher.softmax(dim=1))
    return (1 - weight) * hard + weight * soft
