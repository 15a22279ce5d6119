"""Batch norm over the images of several processes.

Each process holds as many images as any other. What is exchanged is small: mean and
variance of each channel forwards, two sums of each channel backwards. On every kind of
device, unlike torch's own, which is for GPUs only.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

__all__ = ["shared_batch_norm"]


def shared_batch_norm(
    x: Tensor,
    running: tuple[Tensor, Tensor],
    weight: Tensor,
    bias: Tensor,
    momentum: float,
    eps: float,
) -> Tensor:
    """`F.batch_norm` in train mode, with the statistics of the images of all processes.

    Args:
        x: shape ``(N, C, H, W)``, the same in every process.
        running: mean and variance, shape ``(C,)``, updated in place.
        weight: shape ``(C,)``.
        bias: shape ``(C,)``.
        momentum: share of this batch in `running`.
        eps: added to the variance.
    """
    out: Tensor = _SharedBatchNorm.apply(x, running, weight, bias, momentum, eps)
    return out


class _SharedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        running: tuple[Tensor, Tensor],
        weight: Tensor,
        bias: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        # never in half precision, as torch's own
        var, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        of_all = [torch.empty_like(torch.stack([mean, var])) for _ in range(dist.get_world_size())]
        dist.all_gather(of_all, torch.stack([mean, var]))
        means, variances = torch.stack(of_all).unbind(1)  # each (processes, C)
        mean = means.mean(0)
        var = variances.mean(0) + (means - mean).square().mean(0)
        count = x.numel() // x.shape[1] * len(means)
        running[0].lerp_(mean, momentum)
        running[1].lerp_(var * (count / max(1, count - 1)), momentum)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt())
        ctx.eps, ctx.count = eps, count
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, Tensor, None, None]:
        x, weight, mean, scale = ctx.saved_tensors
        var = scale.pow(-2) - ctx.eps
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        # as if the statistics were constants
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, var, mean, scale, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([of_weight, of_bias]).float()
        dist.all_reduce(sums)
        # and what changes because they are not
        slope = -(sums[0] / ctx.count) * weight * scale.square()  # (C,)
        offset = -(sums[1] / ctx.count) * weight * scale - slope * mean
        shape = (1, -1, 1, 1)
        of_x += torch.addcmul(offset.view(shape), x, slope.view(shape)).to(of_x.dtype)
        return of_x, None, of_weight, of_bias, None, None
