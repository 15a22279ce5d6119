"""What the weights of an exported layer are the product of: convolution times batch norm."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from supernet.models import Chain

__all__ = ["Factors", "factors_of", "lone_norms"]

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Factors:
    """A convolution with the batch norm after it, or a linear layer."""

    weight: Values
    """As the supernet has it, output channels first."""
    bias: Values | None
    """Of both together."""
    scale: Values | None = None
    """Of the batch norm, one number an output channel; None where there is none."""

    @property
    def product(self) -> Values:
        """The weight of both together."""
        return self.weight if self.scale is None else self.weight * self.column

    @property
    def column(self) -> Values:
        """The scale in as many axes as the weight has."""
        assert self.scale is not None
        return self.scale.reshape(-1, *[1] * (self.weight.ndim - 1))


def lone_norms(network: nn.Module) -> set[nn.BatchNorm2d]:
    """Batch norms that follow no convolution, so that none takes them up."""
    blocks = [module for module in network.modules() if isinstance(module, Chain)]
    return {norm for block in blocks for norm in block.lone_norms}


@torch.inference_mode()
def factors_of(network: nn.Module) -> list[Factors]:
    """Those of a plain network in eval mode, in the order in which it computes.

    Modules are registered in that order, and a batch norm follows its convolution, unless it
    stands alone. The products have the bits that torch's ONNX exporter folds.
    """
    alone = lone_norms(network)
    found: list[Factors] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bias = None if module.bias is None else _array(module.bias)
            found.append(Factors(_array(module.weight), bias))
        elif isinstance(module, nn.BatchNorm2d) and module not in alone:
            assert module.running_mean is not None
            assert module.running_var is not None
            variance = _array(module.running_var) + np.float32(module.eps)
            scale = _array(module.weight) / np.sqrt(variance)
            bias = _array(module.bias) - _array(module.running_mean) * scale
            found[-1] = Factors(found[-1].weight, bias, scale)
    return found


def _array(values: torch.Tensor) -> Values:
    found: Values = values.cpu().contiguous().numpy()
    return found
