"""ONNX graphs of plain networks in milliseconds, without torch's exporter.

Nodes and weights are those that the exporter writes after folding batch norm (a test compares
their kinds and bits), by the code that builds the graphs which are timed. Files that are shipped
come from the exporter; this is for measuring many networks in ONNX Runtime.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from supernet.export.factors import factors_of, lone_norms
from torch import nn

from supernet.latency import build_onnx
from supernet.models import Network, Scale
from supernet.space import Operator

__all__ = ["direct_onnx"]

_EPS = 1e-5


def direct_onnx(network: Network, operators: Sequence[Operator]) -> onnx.ModelProto:
    """The graph of a network in fp32, with its weights, input ``x``, batch 1.

    Args:
        network: in eval mode, its batch norms not folded.
        operators: that it is made of.
    """
    return onnx.load_from_string(build_onnx(operators, weights=_weights(network)))


def _weights(network: Network) -> Iterator[npt.NDArray[np.float32]]:
    layers, alone = iter(factors_of(network)), lone_norms(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            layer = next(layers)
            yield layer.product
            if layer.bias is not None:
                yield layer.bias
        elif isinstance(module, Scale):
            yield module.weight.detach().numpy().reshape(-1, 1, 1)
        elif module in alone:
            assert isinstance(module, nn.BatchNorm2d)
            assert module.running_mean is not None
            assert module.running_var is not None
            # the node adds the eps that ONNX usually has
            variance = module.running_var + (module.eps - _EPS)
            for values in (module.weight, module.bias, module.running_mean, variance):
                yield values.detach().numpy()
