"""ONNX graphs of networks that are made of our operators, in milliseconds.

Nodes and weights are those that torch's exporter writes after folding batch norm (a test compares
their kinds and bits), by the code that builds the graphs which are timed: what a latency table
has measured is what is shipped. Networks of others go through that exporter
(`supernet.export.traced`).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from supernet.export.contract import Source
from supernet.export.factors import factors_of, lone_norms
from supernet.export.pixels import Deployed
from torch import nn

from supernet.latency import build_onnx
from supernet.models import Network, Scale, Unfilled

__all__ = ["direct_onnx", "drawn"]

_EPS = 1e-5  # what ONNX usually has
_NORM = "weight", "bias", "running_mean", "running_var"


def drawn(source: Source) -> bool:
    """Whether a network is just what its operators say, for images of this size, and gives logits.

    One with another activation, another head or a hook is a network of somebody else.
    """
    network, _ = _parts(source)
    listed = getattr(network, "operators", None)  # of a network that was pickled before
    if type(network) is not Network or not listed or source.outputs or source.multiple:
        return False
    first = listed[0]
    if (first.in_channels, first.height, first.width) != source.shape:
        return False
    if any(p.dtype != torch.float32 for p in network.parameters()):
        return False
    with Unfilled():
        meant = Network(listed)
    return [*_shape(network)] == [*_shape(meant)]


def direct_onnx(source: Source) -> onnx.ModelProto:
    """The graph of a network in fp32, its weights named as torch names them.

    Args:
        source: one that is `drawn`.
    """
    network, around = _parts(source)
    assert isinstance(network, Network)
    data = build_onnx(network.operators, weights=_weights(source.network))
    model = onnx.load_from_string(data)
    graph, output = model.graph, source.preprocessing.get("output", "logits")
    first, last = graph.input[0].name, graph.output[0].name
    names = {first: "images", last: output}
    before, after = [], []
    if around is not None and around.pixels:
        graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
        names[first] = "normalised"
        before = _normalised(graph, around)
    if around is not None and around.probabilities:
        names[last] = "classified"
        after = [helper.make_node("Softmax", ["classified"], [output], axis=1)]
    nodes = [*before, *(_renamed(node, names) for node in graph.node), *after]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input[0].name, graph.output[0].name = "images", output
    if source.dynamic_batch:
        for value in (graph.input[0], graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if source.opset:
        model.opset_import[0].version = source.opset
    return onnx.shape_inference.infer_shapes(model)


def _shape(network: nn.Module) -> Iterator[tuple[str, type[nn.Module], str, bool]]:
    """Names, kinds and settings of its modules, and whether they have hooks."""
    for name, module in network.named_modules():
        told = module.extra_repr()
        if isinstance(module, nn.BatchNorm2d):  # any eps will do, and in eval mode any momentum
            told = f"{module.num_features} {module.affine} {module.track_running_stats}"
        hooks = [*module._forward_hooks, *module._forward_pre_hooks]  # told nowhere else
        yield name, type(module), told, bool(hooks)


def _parts(source: Source) -> tuple[nn.Module, Deployed | None]:
    """The network itself, and what is around it."""
    whole = source.network
    return (whole.network, whole) if isinstance(whole, Deployed) else (whole, None)


def _normalised(graph: onnx.GraphProto, around: Deployed) -> list[onnx.NodeProto]:
    """From pixels to what the network reads."""
    for name, values in (("scale", around.scale), ("shift", around.shift)):
        graph.initializer.append(numpy_helper.from_array(values.cpu().numpy(), name))
    return [
        helper.make_node("Cast", ["images"], ["pixels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["normalised"]),
    ]


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    for own in (node.input, node.output):
        own[:] = [names.get(name, name) for name in own]
    return node


def _weights(network: nn.Module) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The values of all layers, in the order in which they compute."""
    layers, alone = iter(factors_of(network)), lone_norms(network)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            layer = next(layers)
            yield f"{name}.weight", layer.product
            if layer.bias is not None:
                yield f"{name}.bias", layer.bias
        elif isinstance(module, Scale):
            yield f"{name}.weight", module.weight.detach().cpu().numpy().reshape(-1, 1, 1)
        elif module in alone:
            assert isinstance(module, nn.BatchNorm2d)
            for own in _NORM:
                values = getattr(module, own).detach().cpu().numpy()
                if own == "running_var":  # the node adds the eps that it usually has
                    values = values + np.float32(module.eps - _EPS)
                yield f"{name}.{own}", values
