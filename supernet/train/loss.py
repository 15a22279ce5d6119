"""Losses of a training step."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["alpha_divergence", "distillation_loss"]

_LARGEST_RATIO = 5.0  # of q to p


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
    arXiv:2102.07954, section 4). As there, the ratios of alpha -1 are clipped at 5 and those
    of alpha 1 are not; the value is the divergence, and the gradient is that by the
    student's log probabilities alone. It can still be large, so clip gradients by value.

    Args:
        logits: of the student, shape ``(N, classes)``.
        teacher: logits of the teacher, shape ``(N, classes)``, without gradient.

    Returns:
        The mean over the batch, a scalar.
    """
    log_q, log_p = F.log_softmax(logits, dim=1), F.log_softmax(teacher, dim=1)
    q, p = log_q.detach().exp(), log_p.exp()
    log_ratio = log_p - log_q.detach()
    inverse = (-log_ratio).exp().clamp(max=_LARGEST_RATIO)  # q / p
    believed = (q * (inverse - 1)).sum(1) / 2  # the divergence of alpha -1, (N,)
    missed = (p * log_ratio).sum(1)  # of alpha 1, (N,)
    first = believed > missed
    value = torch.where(first, believed, missed)
    weight = torch.where(first[:, None], q * (0.5 - inverse), p)
    surrogate = -(weight * log_q).sum(1)
    # the value of the divergence with the gradient of the surrogate
    return (surrogate + (value - surrogate.detach())).mean()
