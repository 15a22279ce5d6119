"""Batch norm statistics of one subnet, computed anew.

The statistics in a supernet belong to no subnet; without this step accuracy can
be near chance.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["recalibrate"]


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set every batch norm's statistics to the mean over `batches`; in place.

    Args:
        network: a plain network; its mode stays as it was.
        batches: training images as evaluation sees them, each ``(N, C, H, W)``, all
            of one size.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    training = network.training
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()
    try:
        for batch in batches:
            network(batch)
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        network.train(training)
