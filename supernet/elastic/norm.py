"""Elastic batch norm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic.form import Elastic
from supernet.elastic.spans import Spans, picked
from supernet.elastic.sync import shared_batch_norm

__all__ = ["ElasticBatchNorm"]

_STEPS = 512
"""Equally probable values by which a distribution is summed up."""


class ElasticBatchNorm(Elastic):
    """Batch norm of which the leading channels are used.

    All subnets share the running statistics, so these fit none of them: a subnet
    has to be recalibrated before it is evaluated (`supernet.evaluate`). With `shared`
    set, several processes normalise by the images of all of them.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, momentum: float, eps: float) -> None:
        super().__init__(channels, None)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum, self.eps = momentum, eps
        self.shared = False

    def activate(self, channels: int, spans: Spans = None) -> None:
        """Use the first `channels`, or those of `spans`."""
        self.form[:] = [channels, spans]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        c, spans = self.form
        if spans is not None:
            return self._on_spans(x)
        if self.shared and self.training:
            running = self.running_mean[:c], self.running_var[:c]
            affine = self.weight[:c], self.bias[:c]
            return shared_batch_norm(x, running, *affine, self.momentum, self.eps)
        return F.batch_norm(
            x,
            self.running_mean[:c],
            self.running_var[:c],
            self.weight[:c],
            self.bias[:c],
            self.training,
            self.momentum,
            self.eps,
        )

    def _on_spans(self, x: Tensor) -> Tensor:
        """As `forward`, of channels that are not the first ones."""
        state = self.active_state()
        running = state["running_mean"], state["running_var"]
        affine = state["weight"], state["bias"]
        if self.shared and self.training:
            out = shared_batch_norm(x, running, *affine, self.momentum, self.eps)
        else:
            out = F.batch_norm(x, *running, *affine, self.training, self.momentum, self.eps)
        if self.training:  # what was updated are copies
            start = 0
            for first, last in self.form[1]:
                for own, new in zip((self.running_mean, self.running_var), running):
                    own[first:last] = new[start : start + last - first]
                start += last - first
        return out

    @torch.no_grad()
    def adopt(self, mean: Tensor, variance: Tensor) -> None:
        """Take other statistics and compute the same, shapes ``(C,)``."""
        before = (self.running_var + self.eps).rsqrt()
        self.bias.add_(self.weight * (mean - self.running_mean) * before)
        self.weight.mul_((variance + self.eps).sqrt() * before)
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)

    @torch.no_grad()
    def varies(self, act: nn.Module) -> Tensor:
        """Variance of each channel behind the norm and `act`, shape ``(C,)``.

        As of normally distributed values, which are nearly what a convolution sums up. A
        channel of no variance beside `eps` has none here either, whatever its weight is.
        """
        kept = self.running_var / (self.running_var + self.eps)
        scale = self.weight * kept.sqrt()
        steps = (torch.arange(_STEPS, device=scale.device) + 0.5) / _STEPS
        normal = torch.special.ndtri(steps)[:, None]
        values: Tensor = act(self.bias + scale * normal)
        return values.var(0, correction=0)

    @torch.no_grad()
    def mend(self) -> None:
        """Begin anew with the statistics of channels in which a value is not finite."""
        ruined = ~(torch.isfinite(self.running_mean) & torch.isfinite(self.running_var))
        self.running_mean.masked_fill_(ruined, 0.0)
        self.running_var.masked_fill_(ruined, 1.0)

    def active_state(self) -> dict[str, Tensor]:
        """Weights and statistics of the active form, named as in `torch.nn.BatchNorm2d`."""
        return {
            "weight": picked(self.weight, *self.form),
            "bias": picked(self.bias, *self.form),
            "running_mean": picked(self.running_mean, *self.form),
            "running_var": picked(self.running_var, *self.form),
        }

    def permute_output(self, order: Tensor) -> None:
        """Normalise the channels in another order."""
        for values in (self.weight, self.bias, self.running_mean, self.running_var):
            values.copy_(values[order])
