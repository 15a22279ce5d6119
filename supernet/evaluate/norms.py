"""Batch norm statistics of one subnet, computed anew.

The statistics in a supernet belong to no subnet; without this step accuracy can
be near chance.
"""

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from supernet.errors import ConfigError
from supernet.evaluate.fused import conv_act

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

    Raises:
        ConfigError: a batch of one image, where a batch norm sees a single value a channel.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {norm: _Sums(norm) for norm in norms}
    with _measuring(network, sums):
        for batch in batches:
            network(batch)
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

    def add(self, images: int, mean: Tensor, var: Tensor) -> None:
        """Count the mean and the biased variance of a batch, ``(C,)`` each."""
        self._images += images
        self._mean += images * mean
        self._var += images * var

    def add_last(self, norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG002  # called by torch
        """Count the batch that the norm has just seen."""
        mean, unbiased = self._own
        values = inputs[0].numel() // inputs[0].shape[1]
        self.add(len(inputs[0]), mean, (values - 1) / values * unbiased)

    def write(self) -> None:
        """Set the statistics to the means, if there was a batch."""
        if self._images:
            for own, total in zip(self._own, (self._mean, self._var)):
                own.copy_(total / self._images)


@contextlib.contextmanager
def _measuring(network: nn.Module, sums: dict[nn.BatchNorm2d, _Sums]) -> Iterator[None]:
    """While it is open, all norms normalise by the batch and add its statistics to `sums`."""
    training, momenta = network.training, [norm.momentum for norm in sums]
    hooks = [norm.register_forward_hook(one.add_last) for norm, one in sums.items()]
    hooks += [norm.register_forward_pre_hook(_refuse_single) for norm in sums]
    network.eval()
    for norm in sums:
        norm.momentum = 1.0  # its statistics become those of the last batch
        norm.train()
    expansions = [(m, *parts) for m in network.modules() if (parts := _expansion(m))]
    for module, conv, norm, act in expansions:
        module.conv = _Expansion(conv, norm, act, sums[norm])
        module.norm = module.act = nn.Identity()
    try:
        yield
    finally:
        for module, conv, norm, act in expansions:
            module.conv, module.norm, module.act = conv, norm, act
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(sums, momenta):
            norm.momentum = momentum
        network.train(training)


def _refuse_single(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG001  # called by torch
    """One value is its own mean and has no variance: every such channel would become 0."""
    shape = inputs[0].shape
    if shape[0] == 1 and shape[2:].numel() == 1:
        raise ConfigError(
            "batch norm statistics: a single image whose last maps are 1x1 has one value a "
            "channel, of which there is no spread",
            hint="they take two training images at least: give more, or larger input sizes",
        )


def _expansion(module: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d, nn.Module] | None:
    """Pointwise convolution to more channels, batch norm and activation, if it is these."""
    conv, norm, act = (getattr(module, name, None) for name in ("conv", "norm", "act"))
    if (
        isinstance(conv, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and isinstance(act, nn.Module)
        and conv.kernel_size == conv.stride == (1, 1)
        and conv.groups == 1
        and conv.padding == (0, 0)
        and conv.bias is None
        and norm.affine
        and conv.out_channels > conv.in_channels
    ):
        return conv, norm, act
    return None


class _Expansion(nn.Module):
    """Expanding convolution, batch norm by the batch, and activation, in one pass.

    The output is linear in the few channels of the input, so its mean and variance follow
    from theirs: the large tensor is written once, normalised already, and not read
    three times to be measured and normalised. Half the time of the three.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, act: nn.Module, sums: _Sums) -> None:
        super().__init__()
        self._parts, self._sums = (conv, norm, act), sums

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in, H, W)`` to ``(N, out, H, W)``."""
        conv, norm, act = self._parts
        _refuse_single(norm, (x,))
        pixels = x.permute(0, 2, 3, 1).flatten(0, 2)  # (N * H * W, in)
        average = pixels.mean(0)
        centred = pixels - average
        weight = conv.weight.flatten(1)  # (out, in)
        mean = weight @ average
        var = (weight @ (centred.T @ centred / len(centred)) * weight).sum(1).clamp(min=0)
        self._sums.add(len(x), mean, var)
        scale = norm.weight * torch.rsqrt(var + norm.eps)
        shift = norm.bias - scale * mean
        return conv_act(x, conv, act, conv.weight * scale.view(-1, 1, 1, 1), shift)
