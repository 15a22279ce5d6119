"""Batch norm statistics of one subnet, computed anew.

The statistics in a supernet belong to no subnet; without this step accuracy can
be near chance.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["recalibrate"]


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every batch norm's statistics to the mean over `batches`; in place.

    Means and (biased) variances of the batches, weighted by their sizes, as in
    Once-for-All: what the network then computes is on average what it computed while
    it was normalised by the batches themselves.

    Args:
        network: a plain network; its mode stays as it was.
        batches: training images as evaluation sees them, each ``(N, C, H, W)``, all
            of one size.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {norm: _Sums(norm) for norm in norms}
    momenta = [norm.momentum for norm in norms]
    training = network.training
    hooks = [norm.register_forward_hook(sums[norm].add) for norm in norms]
    network.eval()
    for norm in norms:
        norm.momentum = 1.0  # its statistics become those of the last batch
        norm.train()
    try:
        for batch in batches:
            network(batch)
    finally:
        for hook, norm, momentum in zip(hooks, norms, momenta):
            hook.remove()
            norm.momentum = momentum
        network.train(training)
    for one in sums.values():
        one.write()


class _Sums:
    """Statistics of one batch norm, summed over batches."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        self._own = norm.running_mean, norm.running_var
        self._mean, self._var = (torch.zeros_like(values) for values in self._own)
        self._images = 0

    def add(self, norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG002  # called by torch
        x = inputs[0]
        images, values = len(x), x.numel() // x.shape[1]
        mean, unbiased = self._own
        self._images += images
        self._mean += images * mean
        self._var += images * (values - 1) / values * unbiased

    def write(self) -> None:
        """Set the statistics to the means, if there was a batch."""
        if self._images:
            for own, total in zip(self._own, (self._mean, self._var)):
                own.copy_(total / self._images)
