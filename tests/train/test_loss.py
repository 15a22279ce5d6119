"""Losses against their definitions."""

import pytest
import torch
from torch import Tensor

from supernet.train import alpha_divergence, distillation_loss


def exact(logits: Tensor, teacher: Tensor, alpha: float) -> Tensor:
    """The alpha-divergence by its definition (AlphaNet, equation 5), shape ``(N,)``."""
    q, p = logits.softmax(1), teacher.softmax(1)
    if alpha == 1:
        return (p * (p / q).log()).sum(1)
    return ((q * (p / q) ** alpha).sum(1) - 1) / (alpha * (alpha - 1))


def test_distillation_is_a_weighted_sum_of_two_cross_entropies():
    torch.manual_seed(0)
    logits, teacher = torch.randn(5, 4), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    hard = torch.nn.functional.cross_entropy(logits, labels)
    soft = -(teacher.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    found = distillation_loss(logits, labels, teacher, weight=0.3, smoothing=0.0)
    torch.testing.assert_close(found, 0.7 * hard + 0.3 * soft)
    both = distillation_loss(logits, labels, teacher, weight=1.0, label_weight=1.0, smoothing=0.0)
    torch.testing.assert_close(both, hard + soft)


@pytest.mark.parametrize("near", [0.1, 0.3])
def test_the_alpha_divergence_and_its_gradient_are_exact_where_nothing_is_clipped(near: float):
    torch.manual_seed(0)
    teacher = torch.randn(64, 6, dtype=torch.double)
    logits = (teacher + near * torch.randn(64, 6, dtype=torch.double)).requires_grad_()
    by_alpha = torch.stack([exact(logits, teacher, alpha) for alpha in (-1.0, 1.0)])
    expected = by_alpha.max(0).values.mean()
    found = alpha_divergence(logits, teacher)
    torch.testing.assert_close(found, expected)
    assert len(by_alpha.argmax(0).unique()) == 2  # both alphas are met
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_only_the_ratios_of_alpha_minus_one_are_clipped():
    """At 5, as in AlphaNet's code; a student that misses a class is corrected in full."""
    teacher = torch.tensor([[6.0, 0.0, 0.0, 0.0]], dtype=torch.double)
    missing = torch.zeros(1, 4, dtype=torch.double, requires_grad=True)
    missing.data[0, 0] = -1.0  # the teacher's class: its ratio is 8.8
    loss = alpha_divergence(missing, teacher)
    torch.testing.assert_close(loss, exact(missing, teacher, 1.0).mean())
    (gradient,) = torch.autograd.grad(loss, missing)
    torch.testing.assert_close(gradient, missing.softmax(1) - teacher.softmax(1))
    q, p = (torch.tensor([[a, 1 - a]], dtype=torch.double) for a in (0.05, 0.005))
    clipped = (0.05 * 5 + 0.95 * (0.95 / 0.995) - 1) / 2  # the first ratio is 10
    torch.testing.assert_close(alpha_divergence(q.log(), p.log()), torch.tensor(clipped).double())


def test_clipping_keeps_the_alpha_divergence_finite_for_a_sure_and_wrong_student():
    logits = torch.tensor([[9.0, 0.0], [0.0, 0.0], [200.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[0.0, 9.0], [0.0, 0.0], [0.0, 200.0]])
    loss = alpha_divergence(logits, teacher)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 0] > 0  # away from the wrong class
    torch.testing.assert_close(logits.grad[1], torch.zeros(2))  # already alike
