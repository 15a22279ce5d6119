"""Once-for-All's own predictors are the referee: the same file gives the same accuracies.

The published files are their authors' and not part of this project: the tests look for
them as `tests/space/test_net_config.py` does, and are skipped where they are not.
"""

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supernet.errors import ConfigError, FileFormatError
from supernet.files import sha256
from supernet.models.weights import load_tensors
from supernet.predict import MLPPredictor
from supernet.predict.ofa import from_ofa
from supernet.space import Genes, Space, Subnet, canonical, decode, load_space, sample
from tests.published import PUBLISHED, needs

needs_files = needs()
TUTORIAL = PUBLISHED / "ofa" / "acc_predictor.pth"
RESNET = PUBLISHED / "ofa" / "ofa_resnet50_acc_predictor.pth"
TOLERANCE = 2e-5  # percent: rounding in fp32

State = dict[str, np.ndarray]


def ours(path: Path, space: Space) -> MLPPredictor:
    state = {name: value.numpy() for name, value in load_tensors(path).items()}
    return from_ofa(state, space, {"sha256": sha256(path)})


def at_sizes(space: Space, sizes: tuple[int, ...], count: int = 300) -> tuple[Genes, list[Subnet]]:
    """Random subnets at these input sizes."""
    genes = canonical(space, sample(space, count, np.random.default_rng(0)))
    subnets = decode(space, genes)
    kept = [i for i, subnet in enumerate(subnets) if subnet.resolution in sizes]
    assert len(kept) >= 40
    return genes[kept], [subnets[i] for i in kept]


def choices(space: Space, subnet: Subnet, first: int) -> dict[str, Any]:
    """Kernels, expand ratios and depths of the stages from `first`, skipped blocks included."""
    found: dict[str, Any] = {"ks": [], "e": [], "d": []}
    for stage, chosen in list(zip(space.stages, subnet.stages))[first:]:
        skipped = stage.max_depth - len(chosen.blocks)
        blocks = [*chosen.blocks, *[chosen.blocks[-1]] * skipped]
        found["ks"] += [block.kernel for block in blocks]
        found["e"] += [block.expand for block in blocks]
        found["d"].append(len(chosen.blocks))
    return found


@pytest.fixture(scope="module")
def tutorial() -> ModuleType:
    """One file of the package's tutorial, whose folder needs packages that are not declared."""
    package = importlib.util.find_spec("ofa")
    if package is None or package.origin is None:
        pytest.skip("the package `ofa` is not installed: pip install 'supernet[dev]'")
    file = Path(package.origin).parent / "tutorial" / "accuracy_predictor.py"
    spec = importlib.util.spec_from_file_location("ofa_tutorial", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def package() -> Any:
    return pytest.importorskip(
        "ofa.nas.accuracy_predictor",
        reason="the package `ofa` is not installed: pip install 'supernet[dev]'",
    )


@needs_files
def test_the_tutorials_predictor_gives_the_referees_accuracies(tutorial: ModuleType) -> None:
    theirs = tutorial.AccuracyPredictor(pretrained=False, device="cpu")
    theirs.model.load_state_dict(torch.load(TUTORIAL, map_location="cpu", weights_only=True))
    space = load_space("mobilenet_v3_w1.2")
    genes, subnets = at_sizes(space, (160, 176, 192, 208, 224))
    asked = [choices(space, subnet, 1) | {"r": [subnet.resolution]} for subnet in subnets]
    expected = 100 * theirs.predict_accuracy(asked).numpy()[:, 0]
    found = ours(TUTORIAL, space).mean(genes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert 70 < found.min() < found.max() < 85


def resnet_choices(space: Space, subnet: Subnet) -> dict[str, Any]:
    """Widths by index; 0.65 and 0.8 of the first stem width are both 24."""
    found = choices(space, subnet, 0)
    base = [stage.depth[0] for stage in space.stages]
    widths = [2 * (subnet.stem_width == 32), space.stem.out.index(subnet.stem_out)]
    for stage, chosen in zip(space.stages, subnet.stages):
        widths.append(stage.width.index(chosen.width))
    return {
        "d": [2 * subnet.stem_depth, *np.subtract(found["d"], base).tolist()],
        "e": found["e"],
        "w": widths,
        "image_size": subnet.resolution,
    }


@needs_files
def test_the_resnets_predictor_gives_the_referees_accuracies(package: Any, capsys: Any) -> None:
    space = load_space("resnet50")
    encoder = package.ResNetArchEncoder(
        image_size_list=[128, 144, 160, 176, 192, 224, 240, 256],
        depth_list=[0, 1, 2],
        expand_list=[0.2, 0.25, 0.35],
        width_mult_list=[0.65, 0.8, 1.0],
    )
    theirs = package.AccuracyPredictor(encoder, 400, 3, str(RESNET), device="cpu")
    genes, subnets = at_sizes(space, tuple(encoder.image_size_list))
    with torch.no_grad():
        expected = 100 * theirs.predict_acc([resnet_choices(space, s) for s in subnets]).numpy()
    found = ours(RESNET, space).mean(genes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert 70 < found.min() < found.max() < 85


@pytest.mark.parametrize("space_name", ["mobilenet_v3", "mobilenet_v3_w1.2"])
@pytest.mark.parametrize("sizes", [(128, 160, 192, 224), (224,), (160, 176)])
def test_predictors_of_the_package_give_the_referees_accuracies(
    package: Any, space_name: str, sizes: tuple[int, ...]
) -> None:
    """None was published for MobileNetV3 in this layout: random weights."""
    space = load_space(space_name)
    torch.manual_seed(0)
    encoder = package.MobileNetArchEncoder(image_size_list=list(sizes))
    theirs = package.AccuracyPredictor(encoder, 40, 3, device="cpu").eval()
    theirs.base_acc.fill_(0.75)
    state = {name: value.detach().numpy() for name, value in theirs.state_dict().items()}
    found = from_ofa(state, space, {}, None if len(sizes) != 2 else sizes)
    assert found.sizes == sizes
    space_at = replace(space, resolutions=sizes)
    genes, subnets = at_sizes(space_at, sizes)
    asked = [choices(space, s, 1) | {"image_size": s.resolution} for s in subnets]
    with torch.no_grad():
        expected = 100 * theirs.predict_acc(asked).numpy()
    again = from_ofa(state, space_at, {}, sizes).mean(genes)
    np.testing.assert_allclose(again, expected, rtol=0, atol=TOLERANCE)


@needs_files
def test_published_predictors_are_of_one_space_at_any_input_sizes() -> None:
    small = replace(load_space("mobilenet_v3_w1.2"), resolutions=(176, 200))
    ours(TUTORIAL, small).mean(sample(small, 3, np.random.default_rng(0)))
    for path, name, known in (
        (TUTORIAL, "mobilenet_v3", "mobilenet_v3_w1.2"),
        (TUTORIAL, "resnet50", "mobilenet_v3_w1.2"),
        (RESNET, "mobilenet_v3_w1.2", "resnet50"),
        (RESNET, "demo", "resnet50"),
    ):
        with pytest.raises(FileFormatError, match=f"of '{known}' says nothing about '{name}'"):
            ours(path, load_space(name))


def small_state(space: Space, sizes: int = 4, hidden: int = 3) -> State:
    """In the layout of the package, without biases at the end."""
    width = 2 * 3 * 20 + sizes
    assert space.name.startswith("mobilenet_v3")
    return {
        "layers.0.0.weight": np.ones((hidden, width), np.float32),
        "layers.0.0.bias": np.zeros(hidden, np.float32),
        "layers.3.weight": np.ones((1, hidden), np.float32),
        "base_acc": np.array([0.7], np.float32),
    }


SPACE = load_space("mobilenet_v3")
FIRST = "layers.0.0.weight"


def test_layers_stand_in_the_order_of_their_numbers() -> None:
    """Ten comes after two."""
    widths = [128, *range(12, 0, -1)]
    state = {
        f"{2 * i}.weight": np.ones((after, before), np.float32)
        for i, (before, after) in enumerate(itertools.pairwise(widths))
    }
    found = from_ofa(dict(sorted(state.items())), SPACE, {})
    assert [len(weight) for weight, _ in found.layers] == widths[1:]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "no linear layers"),
        ({"a.weight": np.ones(3)}, "no linear layers"),
        ({"weight": np.ones((3, 3))}, "no linear layers"),
        ({"9" * 5000 + ".weight": np.ones((3, 3))}, "no linear layers"),
        ({"\n.weight": np.ones((3, 3))}, "no linear layers"),
    ],
)
def test_what_has_no_layers_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(FileFormatError, match=text):
        from_ofa(change, SPACE, {})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({FIRST: np.ones((3, 100), "f4")}, "has 120 choices, which leaves -20 input sizes, not 0"),
        ({FIRST: np.ones((3, 125), "f4")}, "leaves 5 input sizes, not 0"),
        ({FIRST: np.ones((3, 124, 1), "f4")}, "no linear layers"),
        ({FIRST: np.full((3, 124), np.nan)}, "values must be finite"),
        ({FIRST: np.full((3, 124), 1e39)}, "values must be finite"),
        ({"base_acc": np.array([np.inf])}, "values must be finite"),
        ({"base_acc": np.ones(7)}, "base_acc: expected one value, found 7"),
        ({"base_acc": np.ones((0, 3))}, "base_acc: expected one value, found 0"),
        ({"layers.0.0.bias": np.zeros(4)}, r"weight \(3, 124\) and bias \(4,\)"),
        ({"layers.3.bias": np.zeros((2, 2))}, r"bias \(2, 2\)"),
        ({"layers.3.weight": np.ones((2, 3))}, "one output, found 2"),
        ({"layers.4.weight": np.ones((3, 3))}, r"layers\[2\]: weight \(3, 3\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_other_shapes_and_values_are_refused(change: State, text: str) -> None:
    with pytest.raises((FileFormatError, ConfigError), match=text):
        from_ofa(small_state(SPACE) | change, SPACE, {})


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((160, 192), "leaves 4 input sizes, not 2"),
        ((1, 2, 3, 4), "sizes must differ and be from 8 to 4096"),
        ((160, 160, 160, 160), "sizes must differ"),
        ((160, 176, 192, 10**400), "sizes must differ"),
    ],
)
def test_other_input_sizes_are_refused(sizes: tuple[int, ...], text: str) -> None:
    with pytest.raises((FileFormatError, ConfigError), match=text) as caught:
        from_ofa(small_state(SPACE), SPACE, {}, sizes)
    assert len(str(caught.value)) < 300


@given(data=st.data())
def test_any_state_is_a_predictor_or_refused_in_one_line(data: st.DataObject) -> None:
    state = small_state(SPACE)
    shapes = st.lists(st.sampled_from([0, 1, 2, 3, 124, 128]), max_size=3)
    names = st.text(max_size=6).map(lambda name: f"{name}.weight") | st.sampled_from(list(state))
    for _ in range(data.draw(st.integers(1, 3))):
        state[data.draw(names)] = np.ones(data.draw(shapes), data.draw(st.sampled_from("fdil?")))
        if data.draw(st.booleans()) and len(state) > 1:
            del state[data.draw(st.sampled_from(list(state)))]
    try:
        found = from_ofa(state, SPACE, {})
    except (FileFormatError, ConfigError) as error:
        message = str(error)
    else:
        message = ""
        assert np.isfinite(found.mean(sample(SPACE, 2, np.random.default_rng(0)))).all()
    assert message.isprintable()
