"""Networks of others become spaces whose largest subnets they are."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor, nn

from supernet.cli.main import main
from supernet.errors import ConfigError, FileFormatError
from supernet.models import Supernet, extract, load_pretrained
from supernet.models.published import build_network
from supernet.space import decode, largest_subnet, load_space, operators, sample
from supernet.workflow.any_cnn import convert, network_at, shaken


def _conv(before: int, after: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after))


class Own(nn.Module):
    """Blocks under names that say nothing; `odd` puts something there that no space has."""

    def __init__(self, odd: str = "") -> None:
        super().__init__()
        self.a, self.b = _conv(3, 16, 3, 2), _conv(16, 24, 3, 2)
        self.c, self.d = _conv(24, 24, 3), _conv(16, 24, 1, 2)
        self.e, self.f, self.g = _conv(24, 48, 1), _conv(48, 48, 5, 1, 48), _conv(48, 24, 1)
        self.z, self.odd = nn.Linear(24, 5), odd

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to ``(N, 5)``."""
        x = F.relu(self.a(x))
        shortcut = self.d(x)  # first, in another order than ours
        x = F.relu(self.c(F.relu(self.b(x))) + shortcut)
        if self.odd == "dynamic" and float(x.mean()) > 0:
            x = x * 2
        if self.odd == "shared":
            x = F.relu(self.c(x))
        if self.odd == "cat":
            x = torch.cat([x[:, :12], x[:, 12:]], 1)
        if self.odd == "gelu":
            x = F.gelu(x)
        if self.odd == "attention":
            rows = x.flatten(2)
            x = torch.bmm(torch.softmax(torch.bmm(rows, rows.mT), 2), rows).view(x.shape)
        x = x + self.g(F.hardswish(self.f(F.hardswish(self.e(x)))))
        if self.odd == "tuple":
            return x, x  # type: ignore[return-value]  # what others do
        logits: torch.Tensor = self.z(x.mean((2, 3)))
        return logits


def test_the_largest_subnet_is_the_network() -> None:
    made = convert("own.py:Own", Own(), size=64)
    assert made.difference < 1e-5
    found = operators(made.space, largest_subnet(made.space))
    assert [operator.key for operator in found] == [
        "conv 3-16 k3 s2 relu 64x64",
        "basic 16-24-24 k3 s2 relu shortcut-conv-norm 32x32",
        "mbconv 24-48-24 k5 s1 hard_swish shortcut 16x16",
        "pool 24-24 k1 s1 none 16x16",
        "linear 24-5 k1 s1 none bias 1x1",
    ]
    stem, first, second, head = made.groups
    assert stem.freedom.elastic == ("width 8, 16",)
    assert first.freedom.elastic == ("expand 0.5, 1",)  # 12, 18, 24 become 16, 24, 24
    assert second.freedom.elastic == ("kernel 3, 5", "expand 1.5, 2")
    assert "width 24: its first block adds its input to its output" in second.freedom.fixed
    assert head.rows[-1].layers == "z"


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ("dynamic", "a number is read out of a tensor, so what runs depends on the image"),
        ("shared", "c.0 uses the weights c.0.weight, and c.0 runs twice"),
        ("cat", "the network concatenates channels: no kind of block has that"),
        ("gelu", "the network is a GELU: no kind of block has that"),
        ("attention", "the network multiplies activations: attention is not recogn"),
        ("tuple", "the network gives tuple, not one tensor made from the image"),
    ],
)
def test_what_does_not_fit_is_named(odd: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert("own.py:Own", Own(odd), size=64, check=False)
    assert problem in str(caught.value)
    assert ("mobilenet_v4_hybrid" in caught.value.hint) == (odd == "attention")


def _ended(*layers: nn.Module, bias: bool = True) -> nn.Module:
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 7, bias=bias)]
    return nn.Sequential(_conv(3, 32, 3, 2), nn.ReLU(), *layers, *ends)


_MIDDLE = [_conv(32, 36, 1), nn.ReLU(), _conv(36, 36, 3, 2, 36), nn.ReLU(), _conv(36, 32, 1)]


@pytest.mark.parametrize(
    ("network", "problem", "way_out"),
    [
        (
            _ended(*_MIDDLE),
            r"2.0 .. 6.0 is 'mbconv 32-36-32 .*' where a space has 'mbconv 32-40-32 ",
            "multiples of 8 in a space, and here they are 36: make them 40",
        ),
        (
            _ended(_conv(32, 32, 3, 2), nn.ReLU(), bias=False),
            r"6 is 'linear 32-7 .*' where a space has 'linear 32-7 .* bias ",
            "has a bias: give that of the network one, of zeros",
        ),
        (
            _ended(_conv(32, 32, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), _conv(32, 32, 3, 2)),
            r"4: 'maxpool 32-32 .*' cannot stand between blocks",
            "docs/any_cnn.md lists what converts",
        ),
    ],
)
def test_a_block_that_no_space_has_is_named(network: nn.Module, problem: str, way_out: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        convert("own", network, size=64, check=False)
    assert way_out in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        *["resnet18", "mobilenet_v3_small", "regnet_y_400mf"],
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mnasnet0_5", "efficientnet_b0")),
    ],
)
def test_networks_of_torchvision(name: str) -> None:
    network = shaken(build_network(f"torchvision:{name}"))
    made = convert(name, network, size=64)
    assert made.difference < 1e-5
    supernet = Supernet(made.space).eval()
    load_pretrained(supernet, network)
    image = torch.randn(2, 3, 32, 32)
    for subnet in decode(made.space, sample(made.space, 2, np.random.default_rng(0))):
        small = replace(subnet, resolution=32)
        supernet.activate(small)
        found = extract(supernet, small).eval()(image)
        torch.testing.assert_close(found, supernet(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("seresnet18", {"basic_se"}),
        ("seresnext26d_32x4d", {"bottleneck_se"}),
        ("gernet_s", {"basic", "bottleneck"}),
        pytest.param("fbnetv3_b", {"dsconv", "mbconv"}, marks=pytest.mark.slow),
    ],
)
def test_networks_of_timm(name: str, kinds: set[str]) -> None:
    pytest.importorskip("timm")
    made = convert(name, shaken(build_network(f"timm:{name}")), size=64)
    assert made.difference < 1e-5
    assert {stage.block[0] for stage in made.space.stages} == kinds


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("shufflenet_v2_x0_5", "stage2.0 concatenates channels"),
        ("squeezenet1_1", "features.0 is a convolution without batch norm"),
        ("convnext_tiny", "features.0.0 is a convolution of 4x4"),
    ],
)
def test_networks_of_torchvision_that_are_refused(name: str, layer: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(name, build_network(f"torchvision:{name}"), size=64, check=False)
    assert layer in str(caught.value)


def _small(*, front: nn.Module | None = None, back: nn.Module | None = None) -> nn.Sequential:
    """A network whose convolutions have biases before their batch norms."""
    layers: list[nn.Module] = [front] if front else []
    for before, after in ((3, 16), (16, 32), (32, 32)):
        conv = nn.Conv2d(before, after, 3, stride=2 if before < 32 else 1, padding=1)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 7)]
    return nn.Sequential(*layers, *([back] if back else []))


def test_a_bias_before_a_batch_norm_moves_its_mean() -> None:
    torch.manual_seed(0)
    network = shaken(_small())
    made = convert("biased", network, size=64)
    assert made.difference < 1e-5
    supernet = Supernet(made.space)
    load_pretrained(supernet, network)
    supernet.activate(supernet.largest)
    images = torch.randn(8, 3, supernet.largest.resolution, supernet.largest.resolution)
    with torch.no_grad():
        trained = supernet.train()(images), network.train()(images)
        evaluated = supernet.eval()(images), network.eval()(images)  # statistics moved alike
    torch.testing.assert_close(*trained, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*evaluated, rtol=1e-4, atol=1e-4)


def _with_new_classifier() -> nn.Sequential:
    network = _small()
    classifier = list(network.modules())[-1]
    assert isinstance(classifier, nn.Linear)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return network


def test_a_classifier_of_zeros_is_no_reason_to_compare_nothing() -> None:
    network = _with_new_classifier()
    made = convert("new", network, size=64)
    assert 0 <= made.difference < 1e-5
    assert not list(network.parameters())[-2].any()  # it is left as it was
    supernet = Supernet(made.space)
    assert load_pretrained(supernet, network).classifier
    other = _with_new_classifier()
    other[5] = nn.Hardswish()
    with pytest.raises(ConfigError, match="puts them together differently"):
        load_pretrained(supernet, other)


def test_a_network_that_computes_nothing_is_told() -> None:
    network = _small()
    made = convert("own", network, size=64)
    norm = network[7]
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.zeros_(norm.weight)
    nn.init.zeros_(norm.bias)
    with pytest.raises(ConfigError, match="gives 0 everywhere for a random image"):
        load_pretrained(Supernet(made.space), network)


@pytest.mark.parametrize(
    ("change", "why", "hint"),
    [
        (lambda n: n.double(), "0.weight has values of float64", r"network\.float\(\)"),
        (lambda n: n.bfloat16(), "0.weight has values of bfloat16", r"network\.float\(\)"),
        (
            lambda n: n[3].weight.data[2].fill_(torch.nan),
            "3.weight has values that are no finite numbers",
            "before its training went wrong",
        ),
        (
            lambda n: n[4].running_var.fill_(torch.inf),
            "4.running_var has values that are no finite numbers",
            "before its training went wrong",
        ),
    ],
)
def test_weights_that_no_supernet_has_are_named(
    change: Callable[[Any], object], why: str, hint: str
) -> None:
    fine, network = _small(), _small()
    supernet = Supernet(convert("own", fine, size=64).space)
    change(network)
    for refuses in (
        lambda: convert("own", network, size=64),
        lambda: load_pretrained(supernet, network),
    ):
        with pytest.raises(ConfigError, match=why) as caught:
            refuses()
        assert re.search(hint, caught.value.hint)


class _Normalised(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) / 0.25


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (_small(front=_Normalised()), "the network normalises its images itself"),
        (_small(back=nn.Softmax(1)), "12 makes probabilities of the network's logits"),
        (_small(back=nn.LogSoftmax(1)), "makes probabilities"),
    ],
)
def test_what_stands_around_a_network_is_named(network: nn.Module, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        convert("around", network, size=64)


def test_the_difference_that_is_told_is_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _with_new_classifier(), 64
    monkeypatch.setattr("supernet.workflow.any_cnn.network_at", lambda *_, **__: made)
    words = ["spaces", "from", "net.py:build", "-o", str(tmp_path / "space.yaml"), "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert 0 <= json.loads(done.stdout)["difference"] < 1e-5


def test_a_file_of_your_own(tmp_path: Path) -> None:
    file, space = tmp_path / "net.py", tmp_path / "space.yaml"
    file.write_text(
        "from torch import nn\n"
        "def build():\n"
        "    conv = nn.Conv2d(3, 16, 3, 2, 1, bias=False)\n"
        "    more = nn.Conv2d(16, 32, 3, 2, 1, bias=False)\n"
        "    return nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU(), more, nn.BatchNorm2d(32),\n"
        "        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 7))\n"
    )
    done = CliRunner().invoke(
        main, ["spaces", "from", f"{file}:build", "--size", "64", "-o", str(space)]
    )
    assert done.exit_code == 0, done.output
    said = done.stdout
    assert "conv 16-32 k3 s2 relu 32x32" in said
    assert "fixed:   depth 1: the only block of its shape" in said
    assert load_space(space).num_classes == 7
    with pytest.raises(ConfigError, match="no function 'make' in it; known: build"):
        network_at(f"{file}:make")
    with pytest.raises(FileFormatError, match="no such file"):
        network_at(f"{tmp_path / 'none.py'}:build")
    with pytest.raises(ConfigError, match=r"expected torchvision:NAME, timm:NAME or FILE\.py"):
        network_at("mobilenet")
