"""The graphs that are timed are those that the exporter writes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from supernet.export import Source
from supernet.export.int8.graphs import prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.ranges import measured_ranges
from supernet.export.traced import traced_onnx
from torch import nn

from supernet.latency import build_onnx
from supernet.latency.kit.graph import OPSET
from supernet.models import Network, Scale, Supernet, extract
from supernet.space import (
    Operator,
    Space,
    decode,
    largest,
    load_space,
    operators,
    operators_of,
    sample,
    smallest,
)
from supernet.space.operator import OPERATOR_KINDS, Activation
from tests.cells import SMALL
from tests.shipped import SHIPPED

SEPARABLE: dict[str, Any] = {
    "in_channels": 8,
    "out_channels": 8,
    "kernel": 5,
    "height": 9,
    "width": 9,
}
EXAMPLES = {
    "conv": Operator(
        op="conv", in_channels=3, out_channels=8, kernel=3, stride=2, act="relu", height=9, width=9
    ),
    "mbconv": Operator(
        op="mbconv", mid_channels=24, se=8, act="hard_swish", shortcut="identity", **SEPARABLE
    ),
    "dsconv": Operator(op="dsconv", mid_channels=8, act="relu6", stride=2, **SEPARABLE),
    "conv, padded": Operator(
        op="conv",
        in_channels=3,
        out_channels=8,
        kernel=3,
        stride=2,
        padding="same",
        height=8,
        width=9,
    ),
    "dsconv, padded": Operator(
        op="dsconv", mid_channels=8, stride=2, padding="same", **SEPARABLE | {"height": 8}
    ),
    "bottleneck, padded": Operator(
        op="bottleneck",
        mid_channels=16,
        act="relu",
        stride=2,
        padding="same",
        **SEPARABLE | {"height": 8},
    ),
    "conv, gated": Operator(op="conv", se=8, act="relu", shortcut="pool", stride=2, **SEPARABLE),
    "mbconv, projected": Operator(
        op="mbconv",
        mid_channels=24,
        act="swish",
        shortcut="project",
        stride=2,
        in_channels=4,
        out_channels=8,
        kernel=3,
        height=9,
        width=9,
    ),
    "bottleneck": Operator(
        op="bottleneck", mid_channels=16, act="relu", shortcut="identity", **SEPARABLE
    ),
    "bottleneck, projected": Operator(
        op="bottleneck",
        mid_channels=16,
        groups=2,
        act="relu",
        shortcut="project_norm",
        stride=2,
        **SEPARABLE,
    ),
    "basic": Operator(
        op="basic", mid_channels=16, act="relu", shortcut="conv_norm", stride=2, **SEPARABLE
    ),
    "bottleneck_se": Operator(
        op="bottleneck_se",
        mid_channels=16,
        groups=2,
        se=4,
        gate="sigmoid",
        act="relu",
        shortcut="project_norm",
        stride=2,
        **SEPARABLE,
    ),
    "mbconv, hard gates": Operator(
        op="mbconv", mid_channels=24, se=8, gate="hard_sigmoid_act", act="hard_swish", **SEPARABLE
    ),
    "basic_se": Operator(
        op="basic_se", mid_channels=16, se=8, act="relu", shortcut="identity", **SEPARABLE
    ),
    "dsconv_act": Operator(
        op="dsconv_act", mid_channels=8, se=8, gate="sigmoid", act="swish", **SEPARABLE
    ),
    "fused": Operator(
        op="fused", mid_channels=24, se=8, act="relu", shortcut="identity", **SEPARABLE
    ),
    "fused_act": Operator(op="fused_act", mid_channels=24, act="relu", stride=2, **SEPARABLE),
    "uib": Operator(
        op="uib", mid_channels=24, act="relu", shortcut="identity", start=3, **SEPARABLE
    ),
    "uib, feed-forward": Operator(
        op="uib", mid_channels=24, act="hard_swish", **SEPARABLE | {"kernel": 0}
    ),
    "uib, padded": Operator(
        op="uib",
        mid_channels=24,
        start=3,
        stride=2,
        padding="same",
        **SEPARABLE | {"kernel": 0, "height": 8},
    ),
    "uib_scaled": Operator(op="uib_scaled", mid_channels=24, act="relu", **SEPARABLE),
    "mqa": Operator(
        op="mqa", mid_channels=24, heads=3, reduction=2, shortcut="identity", **SEPARABLE
    ),
    "mqa, all pixels": Operator(
        op="mqa", mid_channels=16, heads=2, **SEPARABLE | {"kernel": 1, "width": 4}
    ),
    "fit": Operator(op="fit", act="relu", **SEPARABLE | {"kernel": 1, "out_channels": 6}),
    "reduce": Operator(
        op="reduce",
        act="relu",
        stride=2,
        **SEPARABLE | {"kernel": 1, "out_channels": 5, "width": 8},
    ),
    "separable_twice": Operator(op="separable_twice", act="relu", stride=2, **SEPARABLE),
    "separable_twice, padded": Operator(
        op="separable_twice", act="relu", stride=2, padding="same", **SEPARABLE | {"height": 8}
    ),
    "dilated": Operator(op="dilated", act="relu", stride=2, **SEPARABLE),
    "dilated, padded": Operator(
        op="dilated", act="relu", stride=2, padding="same", **SEPARABLE | {"height": 8}
    ),
    "flat": Operator(op="flat", act="relu", **SEPARABLE | {"kernel": 7}),
    "flat, strided": Operator(
        op="flat", act="relu", stride=2, **SEPARABLE | {"kernel": 7, "width": 8}
    ),
    "flat, padded": Operator(
        op="flat", act="relu", stride=2, padding="same", **SEPARABLE | {"kernel": 7, "height": 8}
    ),
    "conv, not padded": Operator(
        op="conv",
        in_channels=3,
        out_channels=8,
        kernel=3,
        stride=2,
        padding="valid",
        height=8,
        width=9,
    ),
    "add": Operator(op="add", in_channels=8, out_channels=8, height=5, width=5),
    "concat": Operator(op="concat", in_channels=8, out_channels=24, height=5, width=5),
    "avgpool": Operator(
        op="avgpool", in_channels=8, out_channels=8, kernel=3, stride=2, height=9, width=9
    ),
    "avgpool, padded": Operator(
        op="avgpool",
        in_channels=8,
        out_channels=8,
        kernel=3,
        stride=2,
        padding="same",
        height=8,
        width=9,
    ),
    "maxpool": Operator(
        op="maxpool", in_channels=8, out_channels=8, kernel=3, stride=2, height=9, width=9
    ),
    "maxpool, padded": Operator(
        op="maxpool",
        in_channels=8,
        out_channels=8,
        kernel=3,
        stride=2,
        padding="same",
        height=8,
        width=9,
    ),
    "pool, activated": Operator(
        op="pool", in_channels=8, out_channels=8, act="relu", height=5, width=5
    ),
    "pool": Operator(op="pool", in_channels=8, out_channels=8, height=5, width=5),
    "linear": Operator(op="linear", in_channels=8, out_channels=5, bias=True),
}
_ATTENTION = [*["Reshape"] * 6, *["Transpose"] * 3, "Mul", "MatMul", "Softmax", "MatMul"]
NODES = {  # as torch.onnx writes them (opset 18): native HardSwish, no batch norm
    "conv": ["Conv", "Relu"],
    "mbconv": ["Conv", "HardSwish"] * 2
    + ["ReduceMean", "Conv", "Relu", "Conv", "HardSigmoid", "Mul", "Conv", "Add"],
    "mbconv, hard gates": ["Conv", "HardSwish"] * 2
    + ["ReduceMean", "Conv", "HardSwish", "Conv", "HardSigmoid", "Mul", "Conv"],
    "dsconv": ["Conv", "Clip", "Conv"],
    "conv, padded": ["Conv"],
    "dsconv, padded": ["Conv", "Conv"],
    "bottleneck, padded": ["Conv", "Relu"] * 2 + ["Conv", "Relu"],
    "conv, gated": [
        *["Conv", "Relu", "ReduceMean", "Conv", "Relu", "Conv", "HardSigmoid", "Mul"],
        *["AveragePool", "Add"],
    ],
    "mbconv, projected": ["Conv", "Sigmoid", "Mul"] * 2 + ["Conv", "AveragePool", "Conv", "Add"],
    "bottleneck": ["Conv", "Relu"] * 2 + ["Conv", "Add", "Relu"],
    "bottleneck, projected": ["Conv", "Relu"] * 2 + ["Conv", "AveragePool", "Conv", "Add", "Relu"],
    "fused": [
        *["Conv", "Relu", "ReduceMean", "Conv", "Relu", "Conv", "HardSigmoid", "Mul"],
        *["Conv", "Add"],
    ],
    "basic": ["Conv", "Relu", "Conv", "Conv", "Add", "Relu"],
    "bottleneck_se": [
        *["Conv", "Relu"] * 2,
        *["Conv", "ReduceMean", "Conv", "Relu", "Conv", "Sigmoid", "Mul"],
        *["AveragePool", "Conv", "Add", "Relu"],
    ],
    "basic_se": [
        *["Conv", "Relu", "Conv", "ReduceMean", "Conv", "Relu", "Conv", "HardSigmoid", "Mul"],
        *["Add", "Relu"],
    ],
    "dsconv_act": [
        *["Conv", "Sigmoid", "Mul", "ReduceMean", "Conv", "Sigmoid", "Mul"],
        *["Conv", "Sigmoid", "Mul", "Conv", "Sigmoid", "Mul"],
    ],
    "fused_act": ["Conv", "Relu"] * 2,
    "uib": ["Conv", *["Conv", "Relu"] * 2, "Conv", "Add"],
    "uib, feed-forward": ["Conv", "HardSwish", "Conv"],
    "uib, padded": ["Conv"] * 3,
    "uib_scaled": ["Conv", "Relu"] * 2 + ["Conv", "Mul"],
    "mqa": ["BatchNormalization", *["Conv"] * 5, *_ATTENTION, "Conv", "Mul", "Add"],
    "mqa, all pixels": ["BatchNormalization", *["Conv"] * 3, *_ATTENTION, "Conv", "Mul"],
    "fit": ["Relu", "Conv"],
    "reduce": ["Relu", "Conv", "Pad", "Conv", "Concat"],
    "separable_twice": ["Relu", "Conv", "Conv"] * 2,
    "separable_twice, padded": ["Relu", "Conv", "Conv"] * 2,
    "dilated": ["Relu", "Conv", "Conv"],
    "dilated, padded": ["Relu", "Conv", "Conv"],
    "flat": ["Relu", "Conv", "Conv"],
    "flat, strided": ["Relu", "Conv", "Conv"],
    "flat, padded": ["Relu", "Conv", "Conv"],
    "conv, not padded": ["Conv"],
    "add": ["Add"],
    "concat": ["Concat"],
    "avgpool": ["AveragePool"],
    "avgpool, padded": ["AveragePool"],
    "maxpool": ["MaxPool"],
    "maxpool, padded": ["MaxPool"],
    "pool, activated": ["Relu", "ReduceMean"],
    "pool": ["ReduceMean"],
    "linear": ["Gemm"],
}


def types(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def run(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def input_of(operator: Operator, batch: int = 1) -> np.ndarray:
    shape = [batch, operator.in_channels]
    if operator.op != "linear":
        shape += [operator.height, operator.width]
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def with_weights_of(model: onnx.ModelProto, found: Sequence[Operator]) -> Network:
    """The torch network that has the weights of an ONNX model."""
    network = Network(found).eval()
    values = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in
              model.graph.initializer}  # fmt: skip
    pairs = iter(
        [values[name] for name in node.input if name in values]
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm", "BatchNormalization")
        or (node.op_type == "Mul" and len(values.get(node.input[1], torch.zeros(())).shape) == 3)
    )
    pending: torch.Tensor | None = None
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                weight, *bias = next(pairs)
                module.weight.copy_(weight)
                if module.bias is not None:
                    module.bias.copy_(bias[0])
                elif bias:
                    pending = bias[0]
            elif isinstance(module, Scale):
                module.weight.copy_(next(pairs)[0].flatten())
            elif isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                if pending is None:  # it follows no convolution
                    own = module.weight, module.bias, module.running_mean, module.running_var
                    for tensor, value in zip(own, next(pairs), strict=True):
                        tensor.copy_(value)
                else:
                    module.bias.copy_(pending)
                    module.running_var.fill_(1 - module.eps)
                pending = None
    assert next(pairs, None) is None
    return network


def test_every_kind_of_operator_is_tested_here() -> None:
    assert set(EXAMPLES) == set(NODES)
    assert {operator.op for operator in EXAMPLES.values()} == set(OPERATOR_KINDS)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_an_operator_runs_and_gives_the_shape_that_it_says(kind: str) -> None:
    operator = EXAMPLES[kind]
    out = run(build_onnx([operator]), input_of(operator))
    expected = (1, operator.out_channels, operator.out_height, operator.out_width)
    assert out.shape == (expected[:2] if operator.op in ("pool", "linear") else expected)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_an_operator_is_made_of_the_expected_nodes(kind: str) -> None:
    model = onnx.load_from_string(build_onnx([EXAMPLES[kind]]))
    assert types(model) == Counter(NODES[kind])


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_an_operator_computes_what_the_torch_layer_does(kind: str) -> None:
    found = [EXAMPLES[kind]]
    model = build_onnx(found, batch=2)
    network = with_weights_of(onnx.load_from_string(model), found)
    x = input_of(found[0], batch=2)
    with torch.no_grad():
        inputs = [torch.from_numpy(x)] * found[0].inputs
        expected = network.layers[0](*inputs).numpy()
    np.testing.assert_allclose(run(model, x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("act", get_args(Activation))
def test_every_activation_computes_what_the_torch_one_does(act: Activation) -> None:
    operator = Operator(op="conv", in_channels=3, out_channels=8, act=act, height=5, width=5)
    model = build_onnx([operator])
    network = with_weights_of(onnx.load_from_string(model), [operator])
    x = 6 * input_of(operator)
    with torch.no_grad():
        expected = network.layers[0](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(run(model, x), expected, atol=1e-5, rtol=1e-5)


def test_a_whole_network_computes_what_torch_does(
    any_space: Space, rng: np.random.Generator
) -> None:
    for subnet in decode(any_space, sample(any_space, 3, rng)):
        found = operators(any_space, subnet)
        model = build_onnx(found)
        network = with_weights_of(onnx.load_from_string(model), found)
        x = input_of(found[0])
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(run(model, x), expected, atol=1e-4, rtol=1e-3)


PLAIN = ("tiny smallest", "tiny largest", "demo largest")
OTHERS = ("mixed smallest", "mixed largest", "padded largest")


@pytest.mark.parametrize(
    "case",
    [
        "attending largest",
        *(pytest.param(case, marks=pytest.mark.slow) for case in (*PLAIN, *OTHERS)),
    ],
)
def test_a_whole_network_has_the_nodes_of_its_export(
    tiny_space: Space, mixed_space: Space, attending_space: Space, case: str
) -> None:
    """What is timed, and shipped, is what torch's exporter writes."""
    name, end = case.split()
    space = {
        "tiny": tiny_space,
        "mixed": mixed_space,
        "demo": load_space("demo"),
        "padded": replace(mixed_space, padding="same"),
        "attending": attending_space,
    }[name]
    subnet = decode(space, {"smallest": smallest, "largest": largest}[end](space))[0]
    source = Source(
        network=extract(Supernet(space), subnet),
        in_channels=space.in_channels,
        resolution=subnet.resolution,
        opset=OPSET,
    )
    exported = traced_onnx(source)
    built = onnx.load_from_string(build_onnx(operators(space, subnet)))
    assert types(built) == types(exported)
    assert built.opset_import[0].version == exported.opset_import[0].version


@pytest.mark.parametrize("name", SHIPPED)
def test_operators_of_every_shipped_space_can_be_loaded(name: str) -> None:
    found = operators_of(load_space(name))
    for operator in found[:: max(1, len(found) // 20)]:
        model = build_onnx([operator])
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


# ------------------------------------------------------------------ int8


def optimised(model: bytes, folder: Path) -> Counter[str]:
    """What ONNX Runtime makes of a model on this processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return types(onnx.load(folder / "optimised.onnx"))


@pytest.mark.parametrize(
    "case",
    [
        *["tiny smallest", "tiny largest", "demo largest", "mixed largest", "padded largest"],
        *["attending largest", "cells largest", "darts smallest"],
    ],
)
def test_an_int8_network_runs_the_operators_of_an_exported_one(
    tmp_path: Path, tiny_space: Space, mixed_space: Space, attending_space: Space, case: str
) -> None:
    """So is what is measured what is shipped."""
    name, end = case.split()
    space = {
        "tiny": tiny_space,
        "mixed": mixed_space,
        "demo": load_space("demo"),
        "padded": replace(mixed_space, padding="same"),
        "attending": attending_space,
        "cells": SMALL["demo_cells"],
        "darts": SMALL["darts_cifar"],
    }[name]
    subnet = decode(space, {"smallest": smallest, "largest": largest}[end](space))[0]
    found = operators(space, subnet)
    model = prepared(onnx.load_from_string(build_onnx(found)))
    ranges = measured_ranges(model, [input_of(found[0])] * 2, "minmax")
    expected = optimised(quantised(model, ranges).SerializeToString(), tmp_path)
    assert optimised(build_onnx(found, precision="int8"), tmp_path) == expected
    assert expected["QLinearConv"] > expected["Conv"]


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_every_int8_operator_is_valid_and_runs(kind: str) -> None:
    model = build_onnx([EXAMPLES[kind]], precision="int8")
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    assert np.isfinite(run(model, input_of(EXAMPLES[kind]))).all()


def test_graphs_are_made_again_byte_for_byte(tiny_space: Space) -> None:
    found = operators_of(tiny_space)[:5]
    assert [build_onnx([o]) for o in found] == [build_onnx([o]) for o in found]
