"""Published data sets by name, from tiny files in the formats that torchvision reads.

torchvision compares some of them with the published checksums, which tiny files cannot have:
that comparison is left out here, nothing else is.
"""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from supernet.data import (
    EMBEDDED,
    NAMED,
    Dataset,
    absolute_source,
    decoding,
    eval_view,
    load_dataset,
    load_named,
    named,
    train_view,
)
from supernet.data._torchvision import Found, open_half
from supernet.data.catalogue import NamedSet, _by_name
from supernet.data.outline import Outline, outline_of
from supernet.errors import DataError, MissingPackageError
from tests.data.published import CLASSES, MAKERS, TEST, TRAIN, labels_of, value

CHECKED = ("cifar", "stl10", "svhn", "flowers102")
"""Modules of torchvision that compare files with checksums when they open them."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """No network, a home of its own, and files of any content."""
    from torchvision import datasets
    from torchvision.datasets import utils

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(utils.urllib.request, "urlopen", refuse)
    for name in CHECKED:
        monkeypatch.setattr(
            getattr(datasets, name), "check_integrity", lambda path, *_, **__: Path(path).exists()
        )


def made(name: str, home: Path) -> Path:
    """The tiny data set where the real one would be downloaded to."""
    if NAMED[name].needs:
        pytest.importorskip(NAMED[name].needs)
    folder = home / "datasets" / name
    MAKERS[name](folder)
    return folder


def whole(dataset: Dataset) -> dict[str, Any]:
    return {half: getattr(dataset, half) for half in ("train", "holdout", "test")}


@pytest.mark.parametrize("name", NAMED)
def test_every_set_is_read_with_its_labels(name: str, home: Path):
    made(name, home)
    dataset = load_dataset(name, resolution=14)
    assert dataset.name == name
    assert len(set(dataset.classes)) == len(dataset.classes) >= CLASSES
    assert {half: len(images) for half, images in whole(dataset).items()} == {
        "train": (TRAIN - 1) * CLASSES,
        "holdout": CLASSES,
        "test": TEST * CLASSES,
    }
    assert np.bincount(dataset.holdout.labels).tolist() == [1] * CLASSES
    for images in whole(dataset).values():
        pixels = images.pixels(slice(None))
        side = pixels.shape[1]
        expected = [value(label) for label in images.labels.tolist()]
        # JPEG may be off by one
        assert np.abs(pixels[:, side // 2, side // 2, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", NAMED)
def test_evaluation_sees_the_whole_image_and_training_moves_it(name: str, home: Path):
    made(name, home)
    dataset, info = load_dataset(name, resolution=28), NAMED[name]
    side = dataset.test.pixels(slice(1)).shape[1]
    if not info.pixels:
        assert side == 32  # 28 x 8 / 7
        assert dataset.views.flip == info.flip
        return
    seen = side - 2 * info.shift + 2 * info.margin
    last = torch.from_numpy(dataset.test.pixels(slice(-1, None)))
    view = (
        eval_view(last, seen, dataset.views)[0, 0] * dataset.views.std[0] + dataset.views.mean[0]
    ) * 255
    inner = slice(info.margin, seen - info.margin)
    brightest = value(CLASSES - 1)
    assert float((view[inner, inner] - brightest).abs().max()) < 0.1
    assert view.sum() == pytest.approx(brightest * (seen - 2 * info.margin) ** 2, rel=1e-3)
    rng = np.random.default_rng(0)
    many = train_view(last.expand(200, -1, -1, -1), seen, dataset.views, rng)
    black = many[:, 0] < many.amax() - 0.1
    lost = black.all(dim=2).sum(dim=1)  # rows without any of the image
    most = info.shift or 2 * info.margin
    assert int(lost.max()) == most
    assert int(lost.min()) == (0 if info.shift else most)


def test_the_mean_and_the_deviation_are_those_of_the_training_images(home: Path):
    made("cifar10", home)
    views = load_dataset("cifar10", resolution=32).views
    values = np.array([value(label) for label in labels_of("train")]) / 255
    assert views.mean == (round(float(values.mean()), 4),) * 3
    assert views.std == (round(float(values.std()), 4),) * 3


def test_photographs_are_normalised_as_folders_are(home: Path):
    made("food101", home)
    assert load_dataset("food101", resolution=14).views.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("name", NAMED)
def test_its_outline_is_known_before_photographs_are_decoded_and_without_files_after(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = made(name, home)
    with monkeypatch.context() as patch:
        patch.setattr(named, "decoded", None)
        before = outline_of(name, resolution=14, seed=3)
    dataset = load_dataset(name, resolution=14, seed=3)
    assert before == Outline(
        classes=dataset.classes, channels=dataset.in_channels, train_images=len(dataset.train)
    )
    folder.rename(home / "gone")
    assert outline_of(name, resolution=14, seed=3) == before


@pytest.mark.parametrize("name", ["cifar10", "food101"])
def test_what_was_kept_is_mapped_and_torchvision_not_asked_again(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = made(name, home)
    first = load_dataset(name, resolution=14, seed=3)
    folder.rename(home / "gone")
    monkeypatch.setattr(decoding.Square, "decoded", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    again = load_dataset(name, resolution=14, seed=3)
    assert again.classes == first.classes
    assert again.views == first.views
    for half, images in whole(first).items():
        assert np.array_equal(images.pixels(slice(None)), getattr(again, half).pixels(slice(None)))
        assert np.array_equal(images.labels, getattr(again, half).labels)
    assert isinstance(again.train._stored, np.memmap)


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"x")])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_damaged_cache_is_made_anew(home: Path, suffix: str, spoil: Any):
    made("mnist", home)
    expected = load_dataset("mnist", resolution=28).test.pixels(slice(None))
    spoil(home / "images" / "mnist" / f"test-whole{suffix}")
    assert np.array_equal(load_dataset("mnist", resolution=28).test.pixels(slice(None)), expected)


def test_another_size_of_photographs_is_decoded_beside_the_first(home: Path):
    made("imagenette", home)
    told: list[tuple[int, int, str]] = []
    for resolution in (14, 28, 14):
        dataset = load_named(
            "imagenette", resolution=resolution, progress=lambda *step: told.append(step)
        )
        assert dataset.train.pixels(slice(1)).shape[1:] == (resolution * 8 // 7,) * 2 + (3,)
    ends = [total for done, total, text in told if done == total and text == "decoding images"]
    assert ends == [TRAIN * CLASSES, TEST * CLASSES] * 2
    assert dataset.classes == ("tench", "English springer", "cassette player")


# ------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("name", sorted(set(NAMED) - {"svhn", "flowers102"}))
def test_without_a_network_the_folder_for_the_files_is_named(name: str, home: Path):
    with pytest.raises(DataError, match=f"^{name}: cannot be downloaded: ") as caught:
        load_dataset(name, resolution=28)
    assert "\n" not in str(caught.value)
    assert f"torchvision.datasets.{NAMED[name].kind}(root) reads" in caught.value.hint
    assert str(home / "datasets" / name) in caught.value.hint
    assert list((home / "datasets").iterdir()) == []


def test_files_of_something_else_are_named(home: Path):
    folder = made("mnist", home)
    raw = folder / "MNIST" / "raw" / "train-images-idx3-ubyte"
    raw.write_bytes(raw.read_bytes()[:40])
    with pytest.raises(DataError, match=r"datasets/mnist: not what torchvision.datasets.MNIST"):
        load_dataset("mnist", resolution=28)


def test_a_missing_package_is_named_before_anything_is_downloaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    from supernet.data import _torchvision

    monkeypatch.setattr(_torchvision, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="svhn needs the package scipy") as caught:
        load_dataset("svhn", resolution=32)
    assert "supernet[datasets]" in caught.value.hint
    assert not any((home / "datasets").iterdir())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("cifar", "cifar: no such folder, nor a data set by that name; did you mean 'cifar10'"),
        ("fashion-mnist", "did you mean 'fashion_mnist'"),
        ("zzz", "known: aircraft, cifar10, cifar100, country211, dtd, emnist_balanced, fashion"),
        ("some/cifar10", r"^some/cifar10: no such folder(\n|$)"),
    ],
)
def test_an_unknown_name_lists_what_is_near(data: str, text: str):
    with pytest.raises(DataError, match=text):
        load_dataset(data, resolution=28)


def test_a_folder_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_source("cifar10") == "cifar10"
    assert absolute_source(EMBEDDED) == EMBEDDED
    assert absolute_source("photos") == str(tmp_path / "photos")
    (tmp_path / "cifar10").mkdir()
    assert absolute_source("cifar10") == str(tmp_path / "cifar10")
    with pytest.raises(DataError, match="cifar10: needs at least 2 class folders"):
        load_dataset("cifar10", resolution=28)


def test_every_record_has_a_maker_here_and_a_class_in_torchvision():
    from torchvision import datasets

    assert set(MAKERS) == set(NAMED)
    for info in NAMED.values():
        assert hasattr(datasets, info.kind)
        assert not (info.margin and info.shift)
        assert bool(info.pixels) != bool(info.files)
    with pytest.raises(ValueError, match="two data sets are named 'mnist'"):
        _by_name([NAMED["mnist"], NAMED["mnist"]])


def test_several_at_once_fetch_once(home: Path, monkeypatch: pytest.MonkeyPatch):
    made("cifar10", home)
    opened: list[str] = []

    def count(info: NamedSet, half: str, folder: Path) -> Found:
        opened.append(half)
        return open_half(info, half, folder)

    monkeypatch.setattr(named, "open_half", count)
    start, found = threading.Barrier(4), list[Dataset]()

    def load() -> None:
        start.wait()
        found.append(load_named("cifar10", resolution=32))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == ["test", "train"]
    assert len(found) == 4
    for one in found[1:]:
        for half, images in whole(one).items():
            np.testing.assert_array_equal(
                images.pixels(slice(None)), whole(found[0])[half].pixels(slice(None))
            )
