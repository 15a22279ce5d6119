"""Weights as files."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from supernet.errors import FileFormatError, StorageError
from supernet.models import Supernet, load_weights, save_weights
from supernet.space import Space

MakeSupernet = Callable[[Space], Supernet]


def test_weights_come_back_bit_for_bit(
    tmp_path: Path, tiny_space: Space, make_supernet: MakeSupernet
) -> None:
    supernet, other = make_supernet(tiny_space), Supernet(tiny_space)
    save_weights(tmp_path / "w.safetensors", supernet.state_dict())
    load_weights(tmp_path / "w.safetensors", other)
    expected = supernet.state_dict()
    assert other.state_dict().keys() == expected.keys()
    assert all((values == expected[name]).all() for name, values in other.state_dict().items())
    x = torch.randn(2, 3, 24, 24)
    assert (other.eval()(x) == supernet.eval()(x)).all()


def test_slices_and_transposed_tensors_are_saved_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(24.0).view(4, 6)
    layer = torch.nn.Linear(3, 2)
    save_weights(tmp_path / "w", {"weight": whole[1:3, :3], "bias": whole.t()[:2, 0]})
    load_weights(tmp_path / "w", layer)
    assert layer.weight.tolist() == [[6.0, 7.0, 8.0], [12.0, 13.0, 14.0]]
    assert layer.bias.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"\xff" * 100])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"w: cannot be read: "):
        load_weights(tmp_path / "w", torch.nn.Linear(2, 2))


def test_a_missing_or_truncated_file_is_refused(tmp_path: Path) -> None:
    layer = torch.nn.Linear(20, 20)
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_weights(tmp_path / "w", layer)
    save_weights(tmp_path / "w", layer.state_dict())
    whole = (tmp_path / "w").read_bytes()
    for length in (4, 50, len(whole) - 1):
        (tmp_path / "w").write_bytes(whole[:length])
        with pytest.raises(FileFormatError, match="cannot be read"):
            load_weights(tmp_path / "w", layer)


def test_weights_of_another_network_are_refused_untouched(
    tmp_path: Path, tiny_space: Space, demo_space: Space
) -> None:
    supernet = Supernet(tiny_space)
    before = {name: values.clone() for name, values in supernet.state_dict().items()}
    save_weights(tmp_path / "w", Supernet(demo_space).state_dict())
    with pytest.raises(FileFormatError, match=r"weights of another network \(\d+ tensors") as info:
        load_weights(tmp_path / "w", supernet)
    assert "the space is the one" in info.value.hint
    state = supernet.state_dict()
    state["slots.stem.conv.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "w")
    with pytest.raises(FileFormatError, match=r"1 tensors differ, first: slots\.stem\.conv"):
        load_weights(tmp_path / "w", supernet)
    assert all((values == before[name]).all() for name, values in supernet.state_dict().items())


def test_a_refused_write_leaves_the_old_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "w", {"a": torch.zeros(3)})
    before = (tmp_path / "w").read_bytes()

    def refuse(path: Path, content: bytes) -> int:
        with path.open("wb") as handle:
            handle.write(content[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(StorageError, match="no space is left on the disk"):
        save_weights(tmp_path / "w", {"a": torch.ones(3)})
    assert (tmp_path / "w").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
