"""Losses of a training step."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["alpha_divergence", "distillation_loss"]

_ALPHAS = -1.0, 1.0
_LARGEST_RATIO = 5.0


def distillation_loss(
    logits: Tensor,
    labels: Tensor,
    teacher: Tensor | None,
    *,
    weight: float,
    smoothing: float,
    label_weight: float | None = None,
    divergence: Literal["kl", "alpha"] = "kl",
) -> Tensor:
    """Cross-entropy with the labels, and the distance from the teacher's distribution.

    Args:
        logits: shape ``(N, classes)``.
        labels: class indices, shape ``(N,)``, or the share of each class, ``(N, classes)``.
        teacher: logits of the teacher, shape ``(N, classes)``, without gradient.
        weight: of the teacher (temperature 1); 0 for the labels alone.
        smoothing: of the labels (arXiv:1512.00567).
        label_weight: of the labels where there is a teacher; 1 - `weight` when not given.
        divergence: ``kl``, the soft cross-entropy (arXiv:1503.02531), or ``alpha``, see
            `alpha_divergence`.

    Returns:
        The mean over the batch, a scalar.
    """
    if teacher is None or not weight:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if divergence == "alpha":
        loss = weight * alpha_divergence(logits, teacher)
    else:
        loss = weight * F.cross_entropy(logits, teacher.softmax(dim=1))
    share = 1 - weight if label_weight is None else label_weight
    if share:
        loss = loss + share * F.cross_entropy(logits, labels, label_smoothing=smoothing)
    return loss


def alpha_divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """The larger, image by image, of two alpha-divergences from the teacher.

    With alpha -1 the student is punished for classes that it believes in and the teacher
    does not, with alpha 1 (Kullback-Leibler) for those that it misses (AlphaNet,
    arXiv:2102.07954, section 4, with its clipping of the ratios at 5). As there, the value
    is the divergence, and the gradient is that of the clipped one by the student's log
    probabilities alone; it can still be large, so clip gradients by value.

    Args:
        logits: of the student, shape ``(N, classes)``.
        teacher: logits of the teacher, shape ``(N, classes)``, without gradient.

    Returns:
        The mean over the batch, a scalar.
    """
    log_student = F.log_softmax(logits, dim=1)
    student = log_student.detach().exp()
    log_ratio = F.log_softmax(teacher, dim=1) - log_student.detach()
    values, surrogates = [], []
    for alpha in _ALPHAS:
        powered = (alpha * log_ratio).exp().clamp(max=_LARGEST_RATIO)  # (p / q) ** alpha
        if alpha == 1:  # the limit: p log(p / q)
            value, weight = powered * log_ratio, powered
        else:
            value = (powered - 1) / (alpha * (alpha - 1))
            weight = powered / alpha + 1 / (alpha * (alpha - 1))
        values.append((student * value).sum(1))
        surrogates.append(-(student * weight * log_student).sum(1))
    first = values[0] > values[1]  # (N,)
    value = torch.where(first, values[0], values[1])
    surrogate = torch.where(first, surrogates[0], surrogates[1])
    # the value of the divergence with the gradient of the surrogate
    return (surrogate + (value - surrogate.detach())).mean()
