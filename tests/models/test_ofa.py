"""Once-for-All's own code is the referee: the same weights give the same outputs."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from supernet.errors import FileFormatError
from supernet.evaluate import recalibrate
from supernet.models import Supernet, extract, sort_channels
from supernet.models.ofa import load_ofa
from supernet.space import Domain, Space, decode, load_space, sample, space_ranges
from supernet.space.layout import layout_of

networks = pytest.importorskip(
    "ofa.imagenet_classification.elastic_nn.networks",
    reason="the package `ofa` is not installed: pip install 'supernet[dev]'",
)
utils = pytest.importorskip("ofa.imagenet_classification.elastic_nn.utils")
CHOICES = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
RESNET = {
    "depth_list": [0, 1, 2],
    "expand_ratio_list": [0.2, 0.25, 0.35],
    "width_mult_list": [0.65, 0.8, 1.0],
}
BUILDERS = {
    "mobilenet_v3": lambda: networks.OFAMobileNetV3(width_mult=1.0, n_classes=10, **CHOICES),
    "mobilenet_v3_w1.2": lambda: networks.OFAMobileNetV3(width_mult=1.2, n_classes=10, **CHOICES),
    "proxyless": lambda: networks.OFAProxylessNASNets(
        width_mult=1.3, n_classes=10, bn_param=(0.1, 1e-3), **CHOICES
    ),
    "proxyless_w1.0": lambda: networks.OFAProxylessNASNets(
        width_mult=1.0, n_classes=10, bn_param=(0.1, 1e-3), **CHOICES
    ),
    "resnet50": lambda: networks.OFAResNets(n_classes=10, **RESNET),
}
LATER = {"mobilenet_v3_w1.2", "proxyless_w1.0", "resnet50"}
"""In `make test-all` alone: of another width, else as their sisters; as long as all others."""
TOLERANCE = 1e-5  # of the largest logit


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in LATER else []) for name in BUILDERS
    ],
    scope="module",
)
def pair(request, tmp_path_factory):
    """The referee with random weights and statistics, and ours loaded from its file.

    Statistics are those of the largest subnet, moved at random: with statistics of no
    network the signal dies out on its way, and wrong early blocks would go unseen.
    """
    torch.manual_seed(0)
    theirs: Any = BUILDERS[request.param]()
    for name, value in theirs.state_dict().items():
        if "matrix" in name:
            value.add_(0.1 * torch.randn_like(value))
        elif name.endswith("bias"):
            value.normal_(std=0.1)
        elif name.endswith("weight") and value.dim() == 1:
            value.uniform_(0.5, 1.5)
        elif name.endswith("weight"):
            value.normal_(std=(2 / value[0].numel()) ** 0.5)
    norms: list[Any] = [
        module for module in theirs.modules() if isinstance(module, torch.nn.BatchNorm2d)
    ]
    for norm in norms:
        norm.momentum = 1.0
    theirs.set_max_net()
    with torch.no_grad():
        theirs.train()(_images(16))
    for norm in norms:
        norm.momentum = 0.1
        norm.running_mean.add_(0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean))
        norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.5, 1.5))
    path = tmp_path_factory.mktemp("ofa") / "checkpoint.pth"
    torch.save({"state_dict": theirs.state_dict()}, path)
    ours = Supernet(load_space(request.param), num_classes=10)
    load_ofa(path, ours)
    return theirs, ours


def _images(count: int) -> torch.Tensor:
    """Blotches of a colour of their own with noise: pooling makes plain noise all alike."""
    blotches = F.interpolate(torch.randn(count, 3, 7, 7), size=64, mode="bilinear")
    return blotches + torch.randn(count, 3, 1, 1) + 0.3 * torch.randn(count, 3, 64, 64)


def _activate_theirs(theirs, space: Space, subnet) -> None:
    """OFA's lists hold every block of every elastic stage, skipped ones included."""
    resnet = space.name == "resnet50"
    ks, es, ds = [], [], []
    for stage, chosen in list(zip(space.stages, subnet.stages))[0 if resnet else 1 :]:
        skipped = stage.max_depth - len(chosen.blocks)
        blocks = [*chosen.blocks, *[chosen.blocks[-1]] * skipped]
        ks += [block.kernel for block in blocks]
        es += [block.expand for block in blocks]
        ds.append(len(chosen.blocks) - (stage.depth[0] if resnet else 0))
    if not resnet:
        theirs.set_active_subnet(ks=ks, e=[int(e) for e in es], d=ds)
        return
    # widths by index; 0.65 and 0.8 of the first stem width are both 24
    widths = [2 * (subnet.stem_width == 32), space.stem.out.index(subnet.stem_out)]
    widths += [
        stage.width.index(chosen.width) for stage, chosen in zip(space.stages, subnet.stages)
    ]
    theirs.set_active_subnet(d=[2 * subnet.stem_depth, *ds], e=es, w=widths)


def _difference(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max() / second.abs().max())


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_every_subnet_gives_the_referees_outputs(pair, training: bool):
    theirs, ours = pair
    theirs.train(training)
    ours.train(training)
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    referee = {name: value.clone() for name, value in theirs.state_dict().items()}
    images = _images(8)
    for subnet in decode(ours.space, sample(ours.space, 5, np.random.default_rng(1))):
        _activate_theirs(theirs, ours.space, subnet)
        ours.activate(subnet)
        with torch.no_grad():
            expected = theirs(images)
            theirs.load_state_dict(referee)
            assert _difference(ours(images), expected) <= TOLERANCE
            ours.load_state_dict(before)
            assert _difference(extract(ours, subnet)(images), expected) <= TOLERANCE


def test_extraction_gives_the_referees_extracted_network(pair):
    theirs, ours = pair
    theirs.eval()
    ours.eval()
    images = _images(2)
    for subnet in decode(ours.space, sample(ours.space, 3, np.random.default_rng(2))):
        _activate_theirs(theirs, ours.space, subnet)
        with torch.no_grad():
            expected = theirs.get_active_subnet().eval()(images)
            assert _difference(extract(ours, subnet)(images), expected) <= TOLERANCE


def test_sorting_gives_what_the_referees_sorting_gives(pair):
    """All three expand phases: nothing trained, the second largest, both smaller ones.

    In double precision: in fp32 the order of sums alone makes 1e-5 on some processors.
    """
    for trained in range(3):
        theirs, ours = (copy.deepcopy(net).eval() for net in pair)
        theirs.re_organize_middle_weights(expand_ratio_stage=trained)
        sort_channels(ours, trained_expand=trained + 1)
        theirs, ours, images = theirs.double(), ours.double(), _images(2).double()
        for subnet in decode(ours.space, _same_widths(ours.space, 2, trained)):
            _activate_theirs(theirs, ours.space, subnet)
            ours.activate(subnet)
            with torch.no_grad():
                assert _difference(ours(images), theirs(images)) <= 1e-12


def _same_widths(space: Space, count: int, seed: int):
    """Random genes with the largest stage widths: the referee does not sort these."""
    genes = sample(space, count, np.random.default_rng(seed))
    for gene in layout_of(space).genes:
        if gene.name.endswith((".width", ".out")):
            genes[:, gene.column] = len(gene.choices) - 1
    return genes


def test_recalibration_gives_the_referees_statistics(pair):
    """In double precision: over so few images, rounding in fp32 grows from layer to layer."""
    theirs, ours = (net.eval() for net in pair)
    batches = [_images(count).double() for count in (8, 8, 3)]
    for subnet in decode(ours.space, sample(ours.space, 2, np.random.default_rng(3))):
        _activate_theirs(theirs, ours.space, subnet)
        expected = theirs.get_active_subnet().eval().double()
        utils.set_running_statistics(expected, [(batch, None) for batch in batches])
        found = extract(ours, subnet).double()
        recalibrate(found, batches)
        with torch.no_grad():
            assert _difference(found(batches[0]), expected(batches[0])) <= 1e-9


def test_a_wrong_choice_would_be_seen(pair):
    """What the tolerance means: the next kernel or width differs by a thousand times more."""
    _, ours = pair
    ours.eval()
    images = _images(2)
    genes = sample(ours.space, 1, np.random.default_rng(4))
    ours.activate(decode(ours.space, genes)[0])
    with torch.no_grad():
        expected = ours(images)
        for subnet in decode(ours.space, Domain.of(ours.space).neighbours(genes)):
            if subnet.resolution == ours.subnet.resolution:
                ours.activate(subnet)
                assert _difference(ours(images), expected) > 1000 * TOLERANCE


def test_a_checkpoint_of_another_space_is_refused(pair, tmp_path: Path):
    theirs, _ = pair
    torch.save(theirs.state_dict(), tmp_path / "c.pth")
    with pytest.raises(FileFormatError):
        load_ofa(tmp_path / "c.pth", Supernet(load_space("demo"), num_classes=10))


def test_a_pickle_with_code_is_refused(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    with pytest.raises(FileFormatError, match="not a checkpoint that is safe to load"):
        load_ofa(tmp_path / "evil.pth", Supernet(load_space("demo")))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"c\.pth: not a checkpoint"):
        load_ofa(tmp_path / "c.pth", Supernet(load_space("demo")))


# README of Once-for-All and section 1 of its paper: millions of multiply-adds and of
# parameters of the largest and the smallest subnet
@pytest.mark.parametrize(
    ("name", "largest", "smallest"),
    [
        ("mobilenet_v3", (566.2, 7.66), (41.5, 3.41)),
        ("mobilenet_v3_w1.2", (843.1, 10.70), (65.5, 4.60)),
        ("proxyless", (1004.9, 7.94), (87.8, 3.72)),
        ("resnet50", (7491.6, 48.11), (315.1, 6.54)),
    ],
)
def test_sizes_are_the_published_ones(name: str, largest, smallest):
    ranges = space_ranges(load_space(name))
    found = [(round(m / 1e6, 1), round(p / 1e6, 2)) for m, p in zip(ranges.macs, ranges.params)]
    assert found == [smallest, largest]
