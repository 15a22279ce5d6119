"""What all tests share: a space that is elastic in everything and still tiny."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

from supernet.latency.kit.machine import Machine
from supernet.latency.kit.slowdown import SpeedWatch
from supernet.space import Head, Space, Stage, Stem, load_space

if TYPE_CHECKING:
    from torch import Tensor

    from supernet.models import Supernet

settings.register_profile(
    "supernet", deadline=None, derandomize=True, max_examples=20, database=None
)
settings.load_profile("supernet")


@pytest.fixture(scope="session", autouse=True)
def impatient() -> Iterator[None]:
    """No measurement waits until a machine that tests keep busy is at full speed again.

    And plans time as few steps as they may.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernet.workflow.plan._LEAST_TIMING_S", 0.0)
        patch.setattr("supernet.workflow.plan._TIMING_SHARE", 0.0)
        patch.setattr("supernet.latency.kit.run.SpeedWatch", _at_any_speed)
        yield


def _at_any_speed(machine: Machine, say: Callable[[str], None], patience_s: float) -> SpeedWatch:
    del patience_s
    return SpeedWatch(machine, say, patience_s=0)


@pytest.fixture(scope="session")
def tiny_space() -> Space:
    """Three stages at 16 or 24 pixels; 182,784 subnets.

    Elastic resolution, stem width, widths, depths, kernels and expand ratios; with and
    without expansion, squeeze-excite and shortcuts, and every activation somewhere.
    """
    return Space(
        name="tiny",
        resolutions=(16, 24),
        stem=Stem(width=(8, 16), act="hard_swish"),
        stages=(
            Stage(width=(8, 16), depth=(1,), kernel=(3, 5), expand=(1.0,), act="relu"),
            Stage(
                width=(16, 24), depth=(1, 2), kernel=(3, 5, 7), expand=(2.0, 3.0), stride=2,
                act="relu6", se=(0.25,),
            ),
            Stage(
                width=(16, 24), depth=(1, 3), kernel=(3, 5), expand=(2.5, 4.0), act="swish",
                se=(0.5,),
            ),
        ),
        head=Head(width=32, features=(24,), act="hard_swish"),
        num_classes=5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def demo_space() -> Space:
    return load_space("demo")


@pytest.fixture(scope="session")
def mixed_space() -> Space:
    """What `tiny_space` has not: every kind of block and of shortcut, as a choice.

    A stem of three convolutions and a pooling, elastic in depth; bottlenecks, grouped
    ones too; kernels cropped; an elastic head.
    """
    return Space(
        name="mixed",
        resolutions=(24, 30),
        stem=Stem(width=(8, 12), depth=(0, 1), out=(8, 16), maxpool=True),
        stages=(
            Stage(
                block=("conv", "dsconv", "mbconv"), width=(8, 16), depth=(1, 2), kernel=(3, 5),
                expand=(2.0, 3.0), shared=True, se=(0.0, 0.25), se_of="in",
                shortcut=("none", "identity", "pool"),
            ),
            Stage(
                block=("bottleneck",), width=(16, 24), depth=(1, 2), expand=(0.5, 1.0),
                stride=2, shortcut=("project_norm",),
            ),
            Stage(
                block=("conv", "mbconv"), width=(16, 32), depth=(1, 2), expand=(2.0, 3.0),
                stride=2, act="swish", se=(0.5,), shortcut=("project",),
            ),
            Stage(
                block=("bottleneck", "bottleneck_se"), width=(32,), depth=(1, 2), kernel=(3, 5),
                expand=(0.5, 1.0), group_width=8, se=(0.0, 0.25), shortcut=("none", "project"),
            ),
            Stage(
                block=("fused", "fused_act", "uib"), width=(24, 32), depth=(1, 2),
                kernel=(3, 5), start=(0, 3), expand=(1.5, 2.0), se=(0.0, 0.25),
            ),
            Stage(
                block=("uib",), width=(24, 32), depth=(1, 2), kernel=(0, 3, 5), start=(0, 3),
                expand=(1.0, 2.0), stride=2, act="hard_swish",
            ),
        ),
        head=Head(expand=1.5, features=(16, 24), features_norm=True, act="hard_swish"),
        kernel_transform="crop",
        num_classes=5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def attending_space() -> Space:
    """Attention with heads, keys and kernels to choose, of all pixels or fewer, or left out."""
    return Space(
        name="attending",
        resolutions=(12, 15),
        stem=Stem(width=(16,)),
        stages=(
            Stage(
                block=("mqa",), width=(16,), depth=(0, 1, 2), heads=(1, 2, 4), key_size=(4, 6),
                kernel=(3, 5), expand=(6.0,), reduction=2,
            ),
            Stage(
                block=("uib", "uib_scaled"), width=(16, 24), depth=(1, 2), kernel=(0, 3),
                start=(0, 3), expand=(1.0, 2.0),
            ),
            Stage(
                block=("mqa",), width=(24, 32), depth=(1, 2), heads=(2, 4), key_size=(6, 8),
                kernel=(1,), expand=(6.0,), shared=True, shortcut=("project",),
            ),
        ),
        head=Head(),
        num_classes=5,
    )  # fmt: skip


@pytest.fixture(params=["tiny", "demo", "mixed", "padded", "attending"], scope="session")
def any_space(
    request: pytest.FixtureRequest,
    tiny_space: Space,
    demo_space: Space,
    mixed_space: Space,
    attending_space: Space,
) -> Space:
    """Each of the four in turn, and one that pads even and odd sizes as TensorFlow does."""
    padded = replace(mixed_space, name="padded", padding="same")
    spaces = (tiny_space, demo_space, mixed_space, padded, attending_space)
    return next(space for space in spaces if space.name == request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240517)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which this user's tables and decoded images are kept."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SUPERNET_HOME", str(folder))
    return folder


# ours, and the names that Once-for-All's networks of MobileNetV3's kind have
_OFA_NAMES = [
    (r"stem\.norm", "first_conv.bn"),
    (r"stem\.", "first_conv."),
    (r"S\.expand\.conv", "S.inverted_bottleneck.conv.conv"),
    (r"S\.expand\.norm", "S.inverted_bottleneck.bn.bn"),
    (r"S\.depthwise\.conv\.transforms\.(\w+)", r"S.depth_conv.conv.\1_matrix"),
    (r"S\.depthwise\.conv", "S.depth_conv.conv.conv"),
    (r"S\.depthwise\.norm", "S.depth_conv.bn.bn"),
    (r"S\.se", "S.depth_conv.se.fc"),
    (r"S\.project\.conv", "S.point_linear.conv.conv"),
    (r"S\.project\.norm", "S.point_linear.bn.bn"),
    (r"head_conv\.norm", "H.bn"),
    (r"head_conv", "H"),
    (r"head_features", "feature_mix_layer.conv"),
    (r"head_classifier", "classifier.linear.linear"),
]


@pytest.fixture(scope="session")
def as_ofa() -> "Callable[[Supernet], dict[str, Tensor]]":
    """The weights of a supernet under the names that Once-for-All would give them."""

    def rename(supernet: "Supernet") -> "dict[str, Tensor]":
        blocks = [name for name in supernet.slots if name.startswith("stage")]
        last = "final_expand_layer" if supernet.space.head.features else "feature_mix_layer"
        renamed = {}
        for name, value in supernet.state_dict().items():
            slot, rest = name.removeprefix("slots.").split(".", 1)
            theirs = f"S.{rest}" if slot in blocks else f"{slot}.{rest}"
            pattern, name_there = next(rule for rule in _OFA_NAMES if re.match(rule[0], theirs))
            theirs = re.sub(f"^{pattern}", name_there, theirs)
            if slot in blocks:
                theirs = theirs.replace("S.", f"blocks.{blocks.index(slot)}.conv.", 1)
            renamed[re.sub("^H", last, theirs)] = value.clone()
        return renamed

    return rename


@pytest.fixture
def load_benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Opens a benchmark as a module, its folder first on the path as when it is run."""
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    if not folder.is_dir():
        pytest.skip("only in the repository")
    before = set(sys.modules)

    def opened(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module(name)

    yield opened
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
