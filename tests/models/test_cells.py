"""Supernets of cells: extracted is active, weights are shared by place, and timm's NASNet."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
import timm
import torch
from supernet.export import Source
from supernet.export.direct import direct_onnx
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from supernet.data import eval_view, load_fashion_mnist
from supernet.elastic import ElasticAdd
from supernet.evaluate import recalibrate
from supernet.latency import build_onnx
from supernet.models import Network, Supernet, extract, sort_channels
from supernet.space import (
    decode,
    load_space,
    macs_of,
    operators,
    operators_of,
    params_of,
    sample,
    slot_operators,
)
from supernet.space.cells import Node
from supernet.space.published_cells import published_subnet
from tests.cells import SMALL

ALWAYS = ("nasnet_cifar", "demo_cells", "flat")
SOME = [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]


@pytest.mark.parametrize("name", SOME)
def test_extracted_is_active(name: str) -> None:
    space = SMALL[name]
    supernet = Supernet(space)
    genes = sample(space, 6, np.random.default_rng(0))
    image = torch.randn(2, 3, *space.resolutions * 2)
    counts = zip(decode(space, genes), macs_of(space, genes), params_of(space, genes))
    for subnet, macs, params in counts:
        for training in (True, False):
            supernet.train(training).activate(subnet)
            network = extract(supernet, subnet)
            torch.testing.assert_close(network(image), supernet(image), atol=1e-5, rtol=1e-5)
        with FlopCounterMode(display=False) as counter:
            network(image[:1])
        assert counter.get_total_flops() == 2 * macs
        assert sum(p.numel() for p in network.parameters()) == params


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SMALL)
def test_200_extracted_subnets_are_the_active_ones(name: str) -> None:
    """Both take the same statistics in, so that they agree in eval mode afterwards, too.

    In double precision: how sums are rounded depends on the processor.
    """
    space = SMALL[name]
    torch.manual_seed(0)
    supernet = Supernet(space).double()
    image = torch.randn(2, 3, *space.resolutions * 2, dtype=torch.float64)
    kept = {name: value.clone() for name, value in supernet.named_buffers()}
    with torch.no_grad():
        for subnet in decode(space, sample(space, 200, np.random.default_rng(7))):
            supernet.train().activate(subnet)
            network = extract(supernet, subnet)
            for training in (True, False):
                active, found = supernet.train(training)(image), network.train(training)(image)
                torch.testing.assert_close(found, active, atol=1e-9, rtol=1e-9)
            for buffer, value in supernet.named_buffers():
                value.copy_(kept[buffer])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SMALL)
def test_30_files_compute_what_torch_does_on_photographed_clothes(name: str) -> None:
    """To 1e-4 of the largest logit, and the same best class but where two are as close."""
    import onnxruntime

    space, dataset = SMALL[name], load_fashion_mnist()
    torch.manual_seed(0)
    supernet = Supernet(space)
    pixels = torch.from_numpy(dataset.test.pixels(slice(0, 64)))
    images = eval_view(pixels, space.resolutions[-1], dataset.views).repeat(1, 3, 1, 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for subnet in decode(space, sample(space, 30, np.random.default_rng(8))):
        network = extract(supernet, subnet)
        recalibrate(network, [images])
        model = direct_onnx(
            Source(
                network=network.eval(), in_channels=space.in_channels, resolution=subnet.resolution
            )
        )
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        with torch.no_grad():
            expected = network(images)
        rows = [session.run(None, {"images": one[None].numpy()})[0][0] for one in images]
        found = torch.from_numpy(np.stack(rows))
        near = 1e-4 * expected.abs().max()
        assert (found - expected).abs().max() <= near
        lead = expected.gather(1, found.argmax(1, keepdim=True))[:, 0]
        assert (expected.amax(1) - lead <= 2 * near).all()


@pytest.mark.parametrize("name", SOME)
def test_a_narrowed_space_has_weights_for_what_may_be_read(name: str) -> None:
    """Single cells, as finetuning makes them, and nodes of which one is always read."""
    space = SMALL[name]
    assert space.cells is not None
    nodes = [Node() for _ in range(space.cells.nodes)]
    either = "prev+node1", "prev+cur"
    nodes[1:] = [replace(node, inputs=either) for node in nodes[1:]]
    last = ("cur+node2", "cur+node1") if len(nodes) > 2 else ("cur+node1",)
    nodes[-1] = replace(nodes[-1], inputs=last)
    normal = replace(space.cells.normal, nodes=tuple(nodes))
    narrow = replace(space, cells=replace(space.cells, normal=normal))
    drawn = decode(space, sample(space, 2, np.random.default_rng(1)))
    alone = [replace(space, cells=space.cells.fixed(subnet.cells)) for subnet in drawn]
    image = torch.randn(2, 3, *space.resolutions * 2)
    for own in (narrow, *alone):
        supernet = Supernet(own)
        for subnet in decode(own, sample(own, 3, np.random.default_rng(2))):
            supernet.activate(subnet)
            found = extract(supernet, subnet)(image)
            torch.testing.assert_close(found, supernet(image), atol=1e-5, rtol=1e-5)
        if own is not narrow:  # nothing is held for what nobody reads
            assert sum(p.numel() for p in supernet.parameters()) == params_of(
                own, np.zeros((1, 0), np.int8)
            )


@pytest.mark.parametrize("name", ["nasnet_mobile", "darts_cifar"])
def test_graphs_in_onnx_compute_the_same(name: str) -> None:
    import onnxruntime

    space = SMALL[name]
    supernet = Supernet(space).eval()
    image = torch.randn(1, 3, *space.resolutions * 2)
    for subnet in decode(space, sample(space, 3, np.random.default_rng(1))):
        network = extract(supernet, subnet)
        model = direct_onnx(
            Source(network=network, in_channels=space.in_channels, resolution=subnet.resolution)
        )
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (found,) = session.run(None, {"images": image.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), network(image), atol=1e-4, rtol=1e-4)


def test_every_operator_of_cells_has_a_graph() -> None:
    for operator in operators_of(SMALL["nasnet_mobile"]):
        model = onnx.load_from_string(build_onnx([operator]))
        onnx.checker.check_model(model, full_check=True)
        *_, height, width = (d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim)
        if operator.op not in ("pool", "linear"):
            assert (height, width) == (operator.out_height, operator.out_width)


def test_weights_are_shared_by_node_input_and_operation() -> None:
    space = SMALL["demo_cells"]
    supernet = Supernet(space)
    first, second = decode(space, sample(space, 2, np.random.default_rng(5)))
    nodes = first.cells[0].nodes
    # the same input and operation on the other side of a pair is the same module
    left = replace(nodes[1], inputs="cur+node1", left="sep3", right="max3")
    right = replace(nodes[1], inputs="prev+cur", left="max3", right="sep3")
    used = []
    for node in (left, right):
        cells = replace(first.cells[0], nodes=(nodes[0], node, nodes[2])), second.cells[1]
        supernet.activate(replace(first, cells=cells))
        used.append({id(module) for module in supernet.active_modules})
    shared = supernet.slots["cell1_node2_of"].get_submodule("cur_sep3")
    assert id(shared) in used[0] & used[1]


def test_sorting_leaves_cells_as_they_are() -> None:
    supernet = Supernet(SMALL["demo_cells"])
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    sort_channels(supernet)
    assert all(torch.equal(before[name], value) for name, value in supernet.state_dict().items())


def test_drop_path_rises_with_the_cell_and_spares_identities() -> None:
    space = SMALL["darts_cifar"]
    supernet = Supernet(space)
    supernet.activate(published_subnet(space, "darts_v2"))
    supernet.regularise(drop_path=0.4)
    sums = [module for module in supernet.active_modules if isinstance(module, ElasticAdd)]
    assert [round(module.drop_path, 2) for module in sums[::4]] == [0.08, 0.16, 0.24, 0.32, 0.4]
    dropping = [module.form for module in sums[:4]]
    assert dropping == [[True, True], [True, True], [False, True], [False, True]]
    image = torch.randn(4, 3, *space.resolutions * 2)
    first, second = supernet(image), supernet(image)
    assert not torch.equal(first, second)
    supernet.regularise()
    torch.testing.assert_close(supernet(image), supernet(image))


_ORDER = ["conv0", "cell_stem_0", "cell_stem_1"]
_ORDER += [*(f"cell_{n}" for n in range(6)), "reduction_cell_0"]
_ORDER += [*(f"cell_{n}" for n in range(6, 12)), "reduction_cell_1"]
_ORDER += [f"cell_{n}" for n in range(12, 18)]
_SWAPPED = {True: (0, 1, 2, 4), False: (0,)}
"""Nodes whose first operation is on what is our second state, in reduction and normal cells."""


def test_nasnet_a_is_timms() -> None:
    """The structure of ``nasnetalarge`` with fewer channels, weights copied layer by layer."""
    large = load_space("nasnet_mobile")
    assert large.cells is not None
    large = replace(
        large,
        resolutions=(75,),
        stem=replace(large.stem, width=(12,)),
        cells=replace(large.cells, filters=16, repeats=6, early=True),
        num_classes=7,
    )
    subnet = published_subnet(large, "nasnet_a")
    torch.manual_seed(0)
    theirs = timm.models.nasnet.NASNetALarge(7, stem_size=12, num_features=384).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.register_buffer("running_var", torch.rand(module.num_features) + 0.5)
            module.register_buffer("running_mean", 0.1 * torch.randn(module.num_features))
    ours = Network(operators(large, subnet), eps=large.bn_eps).eval()
    for (slot, _), layer in zip(slot_operators(large, subnet), ours.layers):
        for own, other in _pairs(slot.name, layer, theirs):
            own.copy_(other)
    image = torch.randn(2, 3, 75, 75)
    with torch.no_grad():
        expected = theirs(image)
        torch.testing.assert_close(ours(image), expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 1e-3


def _pairs(slot: str, layer: nn.Module, theirs: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Our tensors and theirs of one layer."""
    part, *rest = slot.split(".")
    own = [value.data for value in layer.state_dict().values() if value.ndim]
    if not own:
        return
    if part in ("stem", "head"):
        module = theirs.get_submodule("conv0" if part == "stem" else "last_linear")
        yield from zip(own, _tensors(module), strict=True)
        return
    number = int(part.removeprefix("cell"))
    cell = theirs.get_submodule(_ORDER[number])
    if rest == ["prev"] and any(name == "path_1" for name, _ in cell.named_children()):
        half = len(own) // 2
        norm = _tensors(cell.get_submodule("final_path_bn"))
        count = len(norm[0]) // 2
        for path, values, kept in (
            ("path_1", own[:half], slice(count)),
            ("path_2", own[half:], slice(count, None)),
        ):
            yield values[0], _tensors(cell.get_submodule(path))[0]
            yield from zip(values[1:], (value[kept] for value in norm), strict=True)
        return
    if rest[0] in ("cur", "prev"):
        name = "conv_1x1" if rest == ["cur"] else "conv_prev_1x1"
    else:
        node, side = int(rest[0].removeprefix("node")) - 1, rest[1]
        reduces = _ORDER[number].startswith(("reduction", "cell_stem"))
        if node in _SWAPPED[reduces]:
            side = {"left": "right", "right": "left"}[side]
        name = f"comb_iter_{node}_{side}"
    yield from zip(own, _tensors(cell.get_submodule(name)), strict=True)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [value for value in module.state_dict().values() if value.ndim]
