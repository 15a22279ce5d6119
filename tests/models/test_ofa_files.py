"""Checkpoints in every form that Once-for-All's weights come in, and in forms they must not."""

import contextlib
import io
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from supernet.errors import FileFormatError
from supernet.models import Supernet
from supernet.models.ofa import ofa_supernet
from supernet.models.weights import load_tensors
from supernet.space import Space
from supernet.space.spec import KernelTransform

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def ours(tiny_space: Space, make_supernet: Callable[[Space], Supernet]) -> Supernet:
    return make_supernet(tiny_space).eval()


@pytest.fixture
def state(ours: Supernet, as_ofa: Callable[[Supernet], State]) -> State:
    return as_ofa(ours)


def first_generation(state: State) -> State:
    """As plain networks and the first published supernets are named."""
    names = [re.sub(r"\.(conv|bn|linear)\.\1\.", r".\1.", name) for name in state]
    names = [re.sub(r"^(blocks\.\d+)\.conv", r"\1.mobile_inverted_conv", name) for name in names]
    return dict(zip(names, state.values()))


FORMS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "nested": lambda state: {"state_dict": state, "epoch": 3},
    "parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "parameters": lambda state: {n: torch.nn.Parameter(value) for n, value in state.items()},
    "counters": lambda state: state | {"first_conv.bn.num_batches_tracked": torch.tensor(7)},
    "double": lambda state: {name: value.double() for name, value in state.items()},
    "convolution": lambda state: (
        state
        | {
            "feature_mix_layer.conv.weight": state["feature_mix_layer.conv.weight"][
                :, :, None, None
            ]
        }
    ),
    "transposed": lambda state: {name: value.T.contiguous().T for name, value in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:The use of `x.T`")
def test_all_forms_give_the_same_supernet(
    ours: Supernet, state: State, tiny_space: Space, tmp_path: Path, form: str, zipped: bool
) -> None:
    path = tmp_path / "c.pth"
    torch.save(FORMS[form](state), path, _use_new_zipfile_serialization=zipped)
    found = ofa_supernet(path, tiny_space).state_dict()
    assert all((v == found[name]).all() for name, v in ours.state_dict().items())


def test_safetensors_and_other_precisions_are_read(
    ours: Supernet, state: State, tiny_space: Space, tmp_path: Path
) -> None:
    save_file({name: value.half() for name, value in state.items()}, tmp_path / "c.safetensors")
    found = ofa_supernet(tmp_path / "c.safetensors", tiny_space).state_dict()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3)
        assert found[name].dtype == torch.float32


def test_both_generations_of_names_are_read(
    ours: Supernet, state: State, tiny_space: Space, tmp_path: Path
) -> None:
    torch.save(first_generation(state), tmp_path / "c.pth")
    found = ofa_supernet(tmp_path / "c.pth", tiny_space).state_dict()
    assert all((v == found[name]).all() for name, v in ours.state_dict().items())


def fixed_kernels(space: Space, kernel_transform: KernelTransform = "learned") -> Space:
    stages = tuple(replace(stage, kernel=stage.kernel[-1:]) for stage in space.stages)
    return replace(space, stages=stages, kernel_transform=kernel_transform)


@pytest.mark.parametrize("kernel_transform", ["learned", "crop"])
def test_matrices_to_kernels_that_a_fixed_network_has_not_are_left_out(
    state: State,
    tiny_space: Space,
    kernel_transform: KernelTransform,
    ours: Supernet,
    tmp_path: Path,
) -> None:
    space = fixed_kernels(tiny_space, kernel_transform)
    names = [name for name in state if name.endswith("_matrix")]
    assert any(name.endswith("5to3_matrix") for name in names)
    torch.save(state, tmp_path / "with.pth")
    torch.save({n: v for n, v in state.items() if n not in names}, tmp_path / "without.pth")
    x = torch.rand(2, 3, 24, 24)
    expected = ours(x)  # with the largest kernels, which no matrix makes
    for name in ("with.pth", "without.pth"):
        found = ofa_supernet(tmp_path / name, space).eval()
        assert not any("transforms" in key for key in found.state_dict())
        torch.testing.assert_close(found(x), expected, rtol=0, atol=0)


def test_matrices_that_the_space_would_need_otherwise_are_refused(
    state: State, tiny_space: Space, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "learned.pth")
    with pytest.raises(FileFormatError, match=r"tensors differ, the first is .*transforms"):
        ofa_supernet(tmp_path / "learned.pth", replace(tiny_space, kernel_transform="crop"))
    lacking = {name: value for name, value in state.items() if "5to3" not in name}
    torch.save(lacking, tmp_path / "lacking.pth")
    with pytest.raises(FileFormatError, match=r"tensors differ, the first is .*5to3"):
        ofa_supernet(tmp_path / "lacking.pth", tiny_space)


def test_the_number_of_classes_is_the_checkpoints(
    state: State, tiny_space: Space, tmp_path: Path
) -> None:
    for name in ("weight", "bias"):
        state[f"classifier.linear.linear.{name}"] = state[f"classifier.linear.linear.{name}"][:2]
    torch.save({name: value.clone() for name, value in state.items()}, tmp_path / "c.pth")
    assert ofa_supernet(tmp_path / "c.pth", tiny_space).space.num_classes == 2


WEIGHT = "first_conv.conv.weight"
CLASSIFIER = "classifier.linear.linear.weight"
HUGE = torch.zeros(1).expand(1 << 20, 1 << 20)


def without(name: str) -> Callable[[State], Any]:
    return lambda state: {other: value for other, value in state.items() if other != name}


REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "one gone": (without(WEIGHT), r"1 tensors differ, the first is slots\.stem\.conv\.weight"),
    "no classifier": (without(CLASSIFIER), "expected a classifier of 2 to 65536 classes, found 0"),
    "one class": (
        lambda state: state | {CLASSIFIER: torch.zeros(1, 24)},
        "of 2 to 65536 classes, found 1",
    ),
    "a million classes": (
        lambda state: state | {CLASSIFIER: torch.zeros(1_000_000, 1)},
        "of 2 to 65536 classes, found 1000000",
    ),
    "scalar classifier": (lambda state: state | {CLASSIFIER: torch.tensor(1.0)}, "found 0"),
    "other shape": (lambda state: state | {WEIGHT: torch.zeros(1)}, "1 tensors differ"),
    "flat features": (
        lambda state: state | {"feature_mix_layer.conv.weight": torch.zeros(3)},
        "1 tensors differ",
    ),
    "unknown": (lambda state: state | {"a\nb": torch.zeros(1)}, r"'a\\nb': not a name of"),
    "unknown part": (
        lambda state: state | {"blocks.0.conv.evil.weight": torch.zeros(1)},
        "not a name of Once-for-All's networks",
    ),
    "block 99": (
        lambda state: state | {"blocks.99.conv.x\n": torch.zeros(1)},
        r"'blocks.99.conv.x\\n': the space 'tiny' has 6 blocks",
    ),
    "a long number": (
        lambda state: state | {f"blocks.{'9' * 5000}.x": torch.zeros(1)},
        "not a nam",
    ),
    "a long name": (
        lambda state: state | {f"first_conv.bn.{'x' * 100_000}": torch.zeros(1)},
        "1 tensors differ",
    ),
    "both generations": (
        lambda state: state | first_generation(state),
        "there is another tensor for",
    ),
    "nan": (
        lambda state: state | {WEIGHT: state[WEIGHT] * torch.nan},
        "stem.conv.weight holds val",
    ),
    "inf": (lambda state: state | {WEIGHT: state[WEIGHT] / 0}, "holds values that are not finite"),
    "double inf": (lambda state: state | {WEIGHT: state[WEIGHT].double() / 0}, "not finite"),
    "huge": (lambda state: state | {WEIGHT: HUGE}, "'first_conv.conv.weight': not a dense tensor"),
    "huge classifier": (lambda state: state | {CLASSIFIER: HUGE}, "not a dense tensor"),
    "meta": (lambda state: state | {WEIGHT: torch.zeros(3, device="meta")}, "not a dense tensor"),
    "sparse": (lambda state: state | {WEIGHT: torch.eye(3).to_sparse()}, "not a dense tensor"),
    "complex": (lambda state: state | {WEIGHT: state[WEIGHT] * 1j}, "not a dense tensor"),
    "quantized": (
        lambda state: state | {WEIGHT: torch.quantize_per_tensor(torch.ones(3), 1, 0, torch.qint8)},
        "not a dense tensor",
    ),
    "nothing": (lambda state: {}, "expected named tensors"),
    "nested nothing": (lambda state: {"state_dict": None}, "expected named tensors"),
    "a list": (lambda state: list(state.values()), "expected named tensors"),
    "a tensor": (lambda state: torch.zeros(3), "expected named tensors"),
    "numbers": (lambda state: {"a": 1, "b": "c"}, "expected named tensors"),
    "numbered": (lambda state: dict(enumerate(state.values())), "expected named tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_another_state_is_refused_in_one_line(
    state: State, tiny_space: Space, tmp_path: Path, case: str
) -> None:
    change, text = REFUSED[case]
    torch.save(change(state), tmp_path / "c.pth")
    with pytest.raises(FileFormatError, match=text) as caught:
        ofa_supernet(tmp_path / "c.pth", tiny_space)
    assert str(caught.value).startswith(f"{tmp_path / 'c.pth'}: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["content", "state_dict", "tensor", "name", "other"])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_never_runs(state: State, tmp_path: Path, place: str, zipped: bool) -> None:
    evil: Any = Evil(tmp_path / "owned")
    content = {
        "content": evil,
        "state_dict": {"state_dict": evil},
        "tensor": state | {WEIGHT: evil},
        "name": {evil: torch.zeros(1)},
        "other": {"state_dict": state, "optimizer": evil},
    }[place]
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(FileFormatError, match="damaged, or holds more than tensors") as caught:
        load_tensors(tmp_path / "c.pth")
    assert str(caught.value).isprintable()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["c.pth", "c.safetensors", "c", "c.pkl"])
def test_a_plain_pickle_never_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Evil(tmp_path / "owned")))
    with pytest.raises(FileFormatError, match="not a checkpoint that is safe to load"):
        load_tensors(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path: Path) -> None:
    """40 MB in 40 kB."""
    written = io.BytesIO()
    torch.save({"a": torch.zeros(10_000_000)}, written)
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(written) as plain, zipfile.ZipFile(bomb, "w", 8, compresslevel=1) as new:
        for name in plain.namelist():
            new.writestr(name, plain.read(name))
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(FileFormatError, match="it is compressed, which torch"):
        load_tensors(bomb)


def pairs_of_pairs(levels: int) -> bytes:
    """A pickle of ``{tuple: 1}``: a tuple of two references to one of two references to ..."""
    parts = [b"q%ch%c\x86" % (level, level) for level in range(levels)]
    return b"\x80\x02})" + b"".join(parts) + b"K\x01s."


@pytest.mark.parametrize("zipped", [True, False])
def test_a_name_that_takes_forever_to_hash_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "c.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pairs_of_pairs(60))
            archive.writestr("archive/version", b"3\n")
    else:
        torch.save({}, path, _use_new_zipfile_serialization=False)
        content = path.read_bytes()
        start = content.rindex(b"\x80\x02}")
        path.write_bytes(content[:start] + pairs_of_pairs(60) + content[start:])
    with pytest.raises(FileFormatError, match="its parts refer to each other"):
        load_tensors(path)


def test_a_huge_description_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as archive:
        archive.writestr("archive/data.pkl", bytes(65 << 20))
    with pytest.raises(FileFormatError, match="more than 64 MB beside its tensors"):
        load_tensors(tmp_path / "c.pth")


@pytest.mark.parametrize("entry", ["../../evil", "/etc/evil", "archive/data/../../evil"])
def test_paths_inside_an_archive_lead_nowhere(tmp_path: Path, entry: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = tmp_path / "a" / "b" / "c.pth"
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "evil")
    files = set(tmp_path.rglob("*"))
    with contextlib.suppress(FileFormatError):  # either answer is right
        load_tensors(path)
    assert set(tmp_path.rglob("*")) == files


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.pth", tmp_path / "nowhere.safetensors"):
        with pytest.raises(FileFormatError, match="not a checkpoint that is safe to load: "):
            load_tensors(path)


@pytest.fixture(scope="module", params=["zip", "legacy", "safetensors"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file in one of the three formats."""
    folder = tmp_path_factory.mktemp("written")
    state = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}
    if request.param == "safetensors":
        save_file(state, folder / "c.safetensors")
        return folder / "c.safetensors"
    torch.save(state, folder / "c.pth", _use_new_zipfile_serialization=request.param == "zip")
    return folder / "c.pth"


@given(data=st.data())
@settings(max_examples=60)
def test_damaged_bytes_give_tensors_or_one_line(written: Path, data: st.DataObject) -> None:
    content = bytearray(written.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written.with_name(f"damaged{written.suffix}")
    path.write_bytes(content)
    try:
        found = load_tensors(path)
    except FileFormatError as error:
        message = str(error)
    else:
        message = ""
        assert all(isinstance(value, Tensor) for value in found.values())
    assert message.isprintable()


@given(data=st.data())
@settings(max_examples=40)
def test_any_edit_of_a_state_is_taken_or_refused_in_one_line(
    ours: Supernet, as_ofa: Callable[[Supernet], State], tiny_space: Space, data: st.DataObject
) -> None:
    state = as_ofa(ours)
    name = data.draw(st.sampled_from(list(state)))
    shapes = st.lists(st.integers(0, 4), max_size=5)
    dtypes = st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool])
    action = data.draw(st.sampled_from(["drop", "replace", "rename", "add"]))
    value = state[name] if action == "add" else state.pop(name)
    if action == "replace":
        value = torch.ones(data.draw(shapes), dtype=data.draw(dtypes))
    if action in ("rename", "add"):
        place = data.draw(st.integers(0, len(name)))
        name = name[:place] + data.draw(st.text(max_size=5)) + name[place + 1 :]
    if action != "drop":
        state[name] = value
    path = Path("c.pth")
    try:
        found = _taken(path, state, tiny_space)
    except FileFormatError as error:
        message = str(error)
    else:
        message = found.space.name
    assert message.isprintable()


def _taken(path: Path, state: State, space: Space) -> Supernet:
    """`ofa_supernet` of a file with this state."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernet.models.ofa.load_tensors", lambda path: state)
        return ofa_supernet(path, space)
