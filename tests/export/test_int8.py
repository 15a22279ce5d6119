"""Static quantisation: what is exported in int8 computes what the float network does."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from supernet.export import Sample, Source
from supernet.export.formats.onnx import Onnx, onnx_model, open_onnx
from supernet.export.int8.bias import bias_shifts, mean_inputs, with_shifted_biases
from supernet.export.int8.choosing import Chooser, Way, divergence
from supernet.export.int8.gates import narrowed
from supernet.export.int8.graphs import Links, constants, layers_of, prepared
from supernet.export.int8.quantised import quantised
from supernet.export.int8.quantising import float_islands, quantise
from supernet.export.int8.ranges import images_of, measured_ranges
from supernet.export.pixels import Deployed

from supernet.errors import ConfigError, ExportError, FileFormatError
from supernet.models import Network
from supernet.space import Operator

SIZE = 16


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures: neighbours are alike, as in photographs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")


def operators() -> list[Operator]:
    """Hard-swish, squeeze-excite, a shortcut and a linear layer."""
    block: dict[str, Any] = {"height": 8, "width": 8, "kernel": 3, "act": "hard_swish"}
    return [
        Operator(
            op="conv",
            in_channels=3,
            out_channels=16,
            stride=2,
            kernel=3,
            act="hard_swish",
            height=SIZE,
            width=SIZE,
        ),
        Operator(
            op="mbconv",
            in_channels=16,
            mid_channels=64,
            out_channels=16,
            se=16,
            shortcut="identity",
            **block,
        ),
        Operator(op="pool", in_channels=16, out_channels=16, height=8, width=8),
        Operator(op="linear", in_channels=16, out_channels=10, bias=True),
    ]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    made = Network(operators()).train()
    with torch.no_grad():
        last: Any = made.layers[-1]
        last.linear.weight.mul_(8)  # decided outputs, as of a trained network
        for seed in range(20):
            made(images(32, seed))
    return made.eval()


@pytest.fixture(scope="module")
def model(network: Network) -> onnx.ModelProto:
    return prepared(onnx_model(Source(network=network, in_channels=3, resolution=SIZE)))


def source(network: Network, **how: Any) -> Source:
    """With held-out images that the network is sure of, as a trained one is of most."""
    held = images(600, 99)
    with torch.no_grad():
        logits = network(held)
    best = logits.topk(2, dim=1).values
    chosen = (best[:, 0] - best[:, 1]).argsort(descending=True)[:200]
    held, labels = held[chosen], logits[chosen].argmax(dim=1).numpy()
    return Source(
        network=network,
        in_channels=3,
        resolution=SIZE,
        calibration=[images(64, 50)],
        holdout=Sample(batches=[held], labels=labels),
        **how,
    )


def run(made: onnx.ModelProto, x: torch.Tensor) -> np.ndarray:
    return open_onnx(made.SerializeToString()).logits([x])


def test_preparing_changes_no_output(model: onnx.ModelProto, network: Network):
    x = images(8)
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(run(model, x), expected, atol=1e-5)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["ReduceMean"] == 0
    assert kinds["GlobalAveragePool"] == 2


def test_everything_runs_on_integers_and_computes_the_same(
    model: onnx.ModelProto, network: Network
):
    ranges = measured_ranges(model, images_of([images(64)], 64), "minmax")
    made = quantised(model, ranges, reduce_range=True)
    onnx.checker.check_model(made, full_check=True)
    assert float_islands(made) == {}
    executed = open_onnx(made.SerializeToString()).operators()
    assert executed["QLinearConv"] == 6
    assert not {"Conv", "HardSwish", "HardSigmoid", "ReduceMean", "Mul", "Add"} & set(executed)
    x = images(64, 7)
    with torch.no_grad():
        expected = network(x).numpy()
    found = run(made, x)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
    assert np.std(found - expected) <= 0.04 * np.std(expected)


def test_a_gate_alone_is_exact_to_its_steps():
    """Hard-swish between two identities, over its whole range."""
    make = onnx.helper
    nodes = [
        make.make_node("Conv", ["x", "one"], ["a"], name="a"),
        make.make_node("HardSwish", ["a"], ["b"], name="b"),
        make.make_node("Conv", ["b", "one"], ["y"], name="c"),
    ]
    shape = [1, 1, 1, 256]
    kind = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes,
        "gate",
        [make.make_tensor_value_info("x", kind, shape)],
        [make.make_tensor_value_info("y", kind, shape)],
        [onnx.numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "one")],
    )
    plain = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8)
    ranges = {"x": (-8.0, 8.0), "a": (-8.0, 8.0), "b": (-0.375, 8.0), "y": (-0.375, 8.0)}
    made = quantised(prepared(plain), ranges)
    x = np.linspace(-8, 8, 256, dtype=np.float32).reshape(shape)
    found = open_onnx(made.SerializeToString()).call(x).ravel()
    expected = (x * np.clip(x + 3, 0, 6) / 6).ravel()
    step = 11 / 255  # of x, from -3 to 8
    gate, output = 8 / 255 / 2 + 8 / 6 * 1.5 * step / 2, 8.4 / 255 / 2
    assert np.abs(found - expected).max() <= 1.5 * step / 2 + gate + 2 * output
    assert np.abs(found - expected)[x.ravel() <= -3].max() <= 2 * output
    assert "HardSwish" not in {node.op_type for node in made.graph.node}


def test_ranges_end_where_gates_cut_off(model: onnx.ModelProto):
    ranges = {name: (-20.0, 20.0) for node in model.graph.node for name in node.output}
    found = narrowed(model, ranges)
    before = {n.input[0] for n in model.graph.node if n.op_type == "HardSwish"}
    gates = {n.input[0] for n in model.graph.node if n.op_type == "HardSigmoid"}
    assert {found[name] for name in before} == {(-3.0, 20.0)}
    assert {found[name] for name in gates} == {(-3.0, 3.0)}
    assert {found[name] for name in found if name not in before | gates} == {(-20.0, 20.0)}


def test_calibrating_in_parts_sees_the_same_ends(
    model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
):
    pictures = images_of([images(12)], 12)
    whole = measured_ranges(model, pictures, "minmax")
    monkeypatch.setattr("supernet.export.int8.ranges._CHUNK_BYTES", 1)
    parts = measured_ranges(model, pictures, "minmax")
    assert whole.keys() == parts.keys()
    for name, ends in whole.items():
        assert parts[name] == pytest.approx(ends, rel=1e-6)


def test_layers_hold_every_node_once(model: onnx.ModelProto):
    layers = layers_of(model.graph)
    nodes = [node for names in layers.values() for node in names]
    assert sorted(nodes) == sorted(node.name for node in model.graph.node)
    assert list(layers) == [
        "layers.0.conv",
        "layers.1.expand.conv",
        "layers.1.depthwise.conv",
        "layers.1.se.reduce",
        "layers.1.se.expand",
        "layers.1.project.conv",
        "layers.3.linear",
    ]


def test_a_layer_in_float_is_named_among_the_islands(model: onnx.ModelProto):
    ranges = measured_ranges(model, images_of([images(16)], 16), "minmax")
    made = quantised(model, ranges, in_float=["layers.1.depthwise.conv"])
    assert float_islands(made) == {"Conv": 1, "HardSwish": 2}  # before and after it
    only = quantised(model, ranges, only=["layers.1.depthwise.conv"])
    assert open_onnx(only.SerializeToString()).operators()["QLinearConv"] == 1


@pytest.mark.parametrize("reduce_range", [False, True])
def test_corrected_biases_keep_the_means_of_layers(model: onnx.ModelProto, reduce_range: bool):
    """Depthwise, pointwise and linear layers, with the rounded weights alone."""
    calibration = images_of([images(64)], 64)
    ranges = measured_ranges(model, calibration, "minmax")
    rounded = quantised(model, ranges, reduce_range=reduce_range)
    means = mean_inputs(model, calibration)
    corrected = with_shifted_biases(model, bias_shifts(model, rounded, means))
    held, integers = constants(model.graph), constants(rounded.graph)
    links = Links.of(rounded.graph)
    nodes = {node.name: node for node in rounded.graph.node}
    checked = 0
    for node, other in zip(model.graph.node, corrected.graph.node):
        if node.op_type not in ("Conv", "Gemm"):
            continue
        maker = links.producer[nodes[node.name].input[1]]
        q, scale, zero = (numpy_helper.to_array(integers[name]) for name in maker.input)
        weight = numpy_helper.to_array(held[node.input[1]]).astype(np.float64)
        attributes = {item.name: item.i for item in node.attribute}
        turned = node.op_type == "Gemm" and not attributes.get("transB")
        column = scale.reshape([1, -1] if turned else [-1] + [1] * (weight.ndim - 1))
        error = (q.astype(np.float64) - int(zero.flat[0])) * column - weight
        error = error.T if turned else error
        mean = means[node.input[0]]
        x = mean if error.shape[1] == len(mean) else mean[:, None]  # depthwise
        expected = (error.reshape(*error.shape[:2], -1).sum(2) * x).sum(1)
        before = numpy_helper.to_array(held[node.input[2]])
        after = numpy_helper.to_array(constants(corrected.graph)[other.input[2]])
        np.testing.assert_allclose(before - after, expected, atol=1e-5)
        assert np.abs(expected).max() > 0
        checked += 1
    assert checked == 7


@pytest.mark.parametrize("how", [{"only": ()}, {"in_float": True}])
def test_layers_in_float_keep_their_biases(model: onnx.ModelProto, how: dict[str, Any]):
    calibration = images_of([images(64)], 64)
    chooser = Chooser(model, calibration, calibration, None)
    in_float = tuple(layers_of(model.graph)) if "in_float" in how else ()
    way = Way(method="minmax", reduce_range=True, corrected=True, in_float=in_float)
    x = images(16, 3)
    made = chooser.model(way, how.get("only"))
    np.testing.assert_allclose(run(made, x), run(model, x), atol=1e-5)


def test_a_layer_that_stays_in_float_runs_in_float(model: onnx.ModelProto):
    """ONNX Runtime would quantise it by itself, coarsely, between two that run on integers."""
    ranges = measured_ranges(model, images_of([images(64)], 64), "minmax")
    layers = list(layers_of(model.graph))
    every = open_onnx(quantised(model, ranges, reduce_range=True).SerializeToString()).operators()
    assert not {"Conv", "Gemm", "FusedConv"} & set(every)
    for layer in layers:
        made = quantised(model, ranges, in_float=(layer,), reduce_range=True)
        executed = open_onnx(made.SerializeToString()).operators()
        assert sum(executed[kind] for kind in ("Conv", "FusedConv", "Gemm")) == 1, (layer, executed)


def test_where_all_layers_stay_in_float_nothing_else_is_on_integers(network: Network):
    whole = Deployed(network, [0.5] * 3, [0.25] * 3, pixels=True, probabilities=False)
    model = prepared(onnx_model(Source(network=whole, in_channels=3, resolution=SIZE, pixels=True)))
    images = [np.random.default_rng(i).integers(0, 256, (1, 3, SIZE, SIZE)) for i in range(4)]
    ranges = measured_ranges(model, [image.astype(np.uint8) for image in images], "minmax")
    made = quantised(model, ranges, in_float=tuple(layers_of(model.graph)))
    assert "QuantizeLinear" not in {node.op_type for node in made.graph.node}
    mixed = quantised(model, ranges, in_float=tuple(layers_of(model.graph))[1:])
    assert "QuantizeLinear" in {node.op_type for node in mixed.graph.node}


def test_layers_that_share_a_bias_are_shifted_apart():
    make = onnx.helper
    kind, sizes = onnx.TensorProto.FLOAT, [1, 3, 1, 1]
    shape = [make.make_tensor_value_info(name, kind, sizes) for name in "xz"]
    held = {"a": np.ones((3, 3, 1, 1)), "b": np.ones((3, 3, 1, 1)), "bias": np.zeros(3)}
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in held.items()]
    nodes = [
        make.make_node("Conv", ["x", "a", "bias"], ["y"], name="first"),
        make.make_node("Conv", ["y", "b", "bias"], ["z"], name="second"),
    ]
    graph = make.make_graph(nodes, "g", shape[:1], shape[1:], tensors)
    own = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8)
    shifts = {"first": np.array([1.0, 2.0, 3.0]), "second": np.array([10.0, 20.0, 30.0])}
    found = run(with_shifted_biases(own, shifts), torch.zeros(1, 3, 1, 1))
    np.testing.assert_allclose(found, [[16.0, 26.0, 36.0]])


def test_what_is_chosen_loses_little_and_says_how(network: Network):
    made, written = quantise(
        onnx_model(Source(network=network, in_channels=3, resolution=SIZE)), source(network)
    )
    facts = written.facts
    assert facts["in_float"] == []
    assert facts["holdout_float_top1"] == 100.0
    assert facts["holdout_top1"] >= 97
    assert not {"top1", "images", "agreement"} & set(facts)  # of the held-out images, not of a test
    assert facts["divergence"] == min(trial["divergence"] for trial in facts["tried"])
    assert {trial["calibrator"] for trial in facts["tried"]} == {"minmax", "entropy", "percentile"}
    values = list(facts["sensitivity"].values())
    assert values == sorted(values, reverse=True)
    assert len(values) == 7
    assert "held-out images 100.00 % in float" in written.notes[0]
    assert float_islands(made) == facts["float_operators"] == {}
    assert written.notes[-1] == "int8: compute in float: none"


def test_weights_have_the_bits_that_are_asked_for(network: Network):
    model = onnx_model(Source(network=network, in_channels=3, resolution=SIZE))
    for bits, most in ((7, 64), (8, 127)):
        made, written = quantise(model, source(network, weights_bits=bits))
        assert {trial["weights_bits"] for trial in written.facts["tried"]} == {bits}
        weights = [
            numpy_helper.to_array(each)
            for each in made.graph.initializer
            if each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 4
        ]
        assert max(int(np.abs(values.astype(int)).max()) for values in weights) == most
        told = any("--weights-bits 7" in note for note in written.notes)
        assert told == (bits == 8)


@pytest.mark.parametrize("reduction", [1, 2])
def test_an_attention_runs_on_integers_but_for_its_norm(reduction: int):
    attention = Operator(
        op="mqa", in_channels=16, mid_channels=32, out_channels=16, heads=2, reduction=reduction,
        kernel=3 if reduction > 1 else 1, shortcut="identity", height=8, width=8,
    )  # fmt: skip
    first, _, *last = operators()
    network = Network([first, attention, *last]).eval()
    own = Source(network=network, in_channels=3, resolution=SIZE)
    model = prepared(onnx_model(own))
    x = images(8)
    ranges = measured_ranges(model, [one[None].numpy() for one in x], "minmax")
    made = quantised(model, ranges)
    assert float_islands(made) == {"BatchNormalization": 1}
    with torch.no_grad():
        expected = network(x)
    found = np.concatenate([run(made, one[None]) for one in x])
    assert np.abs(found - expected.numpy()).max() < 0.1 * float(expected.abs().max())


def broken(network: Network) -> Any:
    """The same function, with one layer whose channels differ by a factor of 10,000: one range
    for all of its outputs cannot serve them."""
    import copy

    own: Any = copy.deepcopy(network)
    expand, middle = own.layers[1].expand, own.layers[1].depthwise
    project = own.layers[1].project
    with torch.no_grad():
        expand.norm.weight[0] *= 1e4
        expand.norm.bias[0] *= 1e4
        middle.conv.weight[0] *= 1e-4
    assert project is not None
    return own


def test_the_fewest_layers_that_lose_little_stay_in_float(network: Network):
    own = broken(network)
    plain = onnx_model(Source(network=own, in_channels=3, resolution=SIZE))
    _, whole = quantise(plain, source(own, most_lost=50.0))
    lost = 100.0 - whole.facts["holdout_top1"]  # how much depends on how the processor rounds
    assert whole.facts["in_float"] == []
    assert lost >= 0.5
    made, written = quantise(plain, source(own, most_lost=lost / 2))
    kept = written.facts["in_float"]
    assert 1 <= len(kept) <= 3
    assert "layers.1.expand.conv" in kept
    assert written.facts["holdout_top1"] >= 100.0 - lost / 2
    assert float_islands(made)["Conv"] >= 1
    assert "stay in float" in written.notes[1]
    assert "layers.1.expand.conv" in written.notes[1]
    convolutions = float_islands(made)["Conv"]
    assert written.notes[-1].startswith("int8: compute in float: ")
    assert f"{convolutions} Conv" in written.notes[-1]


def test_without_images_it_is_refused(network: Network):
    plain = Source(network=network, in_channels=3, resolution=SIZE)
    with pytest.raises(ConfigError, match="needs training images"):
        quantise(onnx_model(plain), plain)


@pytest.mark.parametrize("error", [FileFormatError, RuntimeError])
@pytest.mark.parametrize("opset", [0, 20])
def test_what_the_runtime_refuses_is_named_by_its_file(
    network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    opset: int,
):
    def refuse(model: onnx.ModelProto, threads: int) -> None:
        raise error("NOT_IMPLEMENTED: QuantizeLinear")

    monkeypatch.setattr("supernet.export.int8.choosing.open_onnx", refuse)
    with pytest.raises(ExportError, match=r"model_int8\.onnx: .*QuantizeLinear") as found:
        Onnx().write(source(network, opset=opset), tmp_path / "model_int8.onnx", "int8")
    assert found.value.hint == ("give a lower --opset" if opset else "")
    assert not [*tmp_path.iterdir()]


def test_without_labels_the_float_network_is_the_judge(network: Network):
    calibration = images_of([images(32)], 32)
    model = prepared(onnx_model(Source(network=network, in_channels=3, resolution=SIZE)))
    _, report = Chooser(model, calibration, calibration, None).choose(1.0)
    assert report.float_top1 == 100.0


def test_layers_are_judged_by_images_of_all_classes(
    network: Network, monkeypatch: pytest.MonkeyPatch
):
    """Held-out images may lie in the order of their classes: the first ones are of a few."""
    monkeypatch.setattr("supernet.export.int8.choosing._MOST", 4)
    monkeypatch.setattr("supernet.export.int8.choosing._FEWEST", 4)
    held = images_of([images(16)], 16)
    model = prepared(onnx_model(Source(network=network, in_channels=3, resolution=SIZE)))
    chooser, seen = Chooser(model, held, held, None), []
    plain = chooser._logits

    def noted(made: onnx.ModelProto, given: Any) -> Any:
        seen.append([next(i for i, one in enumerate(held) if one is image) for image in given])
        return plain(made, given)

    monkeypatch.setattr(chooser, "_logits", noted)
    found = chooser.sensitivity(chooser.trial(Way(method="minmax")))
    assert seen[1:] == [[0, 4, 8, 12]] * len(found)
    assert all(value < 1 for value in found.values())  # beside the logits of the same images


def test_the_divergence_of_equal_outputs_is_zero():
    logits = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    assert divergence(logits, logits) == pytest.approx(0, abs=1e-12)
    assert divergence(logits, logits[:, ::-1]) > 0.1
