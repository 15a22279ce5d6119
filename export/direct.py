"""ONNX graphs of plain networks in milliseconds, without torch's exporter.

The nodes are those that the exporter writes after folding batch norm (a test compares them), by
the code that builds the graphs which are timed. Files that are shipped come from the exporter;
this is for measuring many networks in ONNX Runtime.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from supernet.latency import build_onnx
from supernet.models import Network
from supernet.space import Operator

__all__ = ["direct_onnx"]

Values = npt.NDArray[np.float32]


def direct_onnx(network: Network, operators: Sequence[Operator]) -> onnx.ModelProto:
    """The graph of a network in fp32, with its weights, input ``x``, batch 1.

    Args:
        network: in eval mode, its batch norms not folded.
        operators: that it is made of.
    """
    return onnx.load_from_string(build_onnx(operators, weights=_weights(network)))


@torch.inference_mode()
def _weights(network: Network) -> Iterator[Values]:
    """Weights and biases in the order of the modules; batch norms folded into convolutions.

    Modules are registered in the order in which they compute, and a batch norm follows its
    convolution.
    """
    pending: nn.Conv2d | None = None
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert pending is not None
            yield from _folded(pending, module)
            pending = None
        elif isinstance(module, nn.Conv2d | nn.Linear):
            if pending is not None:
                yield from _plain(pending)
            pending = module if isinstance(module, nn.Conv2d) else None
            if isinstance(module, nn.Linear):
                yield from _plain(module)
    if pending is not None:
        yield from _plain(pending)


def _plain(module: nn.Conv2d | nn.Linear) -> Iterator[Values]:
    yield module.weight.cpu().contiguous().numpy()
    if module.bias is not None:
        yield module.bias.cpu().numpy()


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Iterator[Values]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    yield (conv.weight * scale.view(-1, 1, 1, 1)).cpu().contiguous().numpy()
    yield (norm.bias - norm.running_mean * scale).cpu().numpy()
