"""Tiny data sets in the folders and formats that torchvision reads, one maker for each kind.

Every set has `CLASSES` classes, `TRAIN` training and `TEST` test images of each. An image is
of one colour, from which its label can be told: `value`.
"""

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES, TRAIN, TEST = 3, 6, 2

Pixels = npt.NDArray[np.uint8]


def value(label: int) -> int:
    """Of every pixel of an image of this class."""
    return 60 * label + 40


def labels_of(half: str) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(CLASSES), TRAIN if half == "train" else TEST)


def arrays(half: str, *shape: int) -> Pixels:
    """``(N, *shape)``."""
    values = np.array([value(label) for label in labels_of(half)], dtype=np.uint8)
    return np.broadcast_to(values.reshape(-1, *[1] * len(shape)), (len(values), *shape)).copy()


def photograph(path: Path, label: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (value(label),) * 3).save(path)


def numbered(half: str) -> Iterator[tuple[int, int]]:
    """Number within the class, and label, of every image."""
    for index, label in enumerate(labels_of(half).tolist()):
        yield index % (TRAIN if half == "train" else TEST), label


def idx(path: Path, values: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(
        ">" + "I" * values.ndim, *values.shape
    )
    path.write_bytes(header + values.tobytes())


def mnist(folder: str, prefix: dict[str, str]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for half, start in prefix.items():
            raw = root / folder / "raw"
            idx(raw / f"{start}-images-idx3-ubyte", arrays(half, 28, 28))
            idx(raw / f"{start}-labels-idx1-ubyte", labels_of(half).astype(np.uint8))

    return make


def cifar(
    folder: str, files: dict[str, list[str]], labels: str, meta: tuple[str, str]
) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        base = root / folder
        base.mkdir(parents=True)
        for half, names in files.items():
            for part, name in zip(
                np.array_split(np.arange(len(labels_of(half))), len(names)), names
            ):
                batch = {"data": arrays(half, 3072)[part], labels: labels_of(half)[part].tolist()}
                (base / name).write_bytes(pickle.dumps(batch))
        known = {meta[1]: [f"kind {label}" for label in range(CLASSES)]}
        (base / meta[0]).write_bytes(pickle.dumps(known))

    return make


def stl10(root: Path) -> None:
    base = root / "stl10_binary"
    base.mkdir(parents=True)
    for half in ("train", "test"):
        arrays(half, 3, 96, 96).tofile(base / f"{half}_X.bin")
        (labels_of(half) + 1).astype(np.uint8).tofile(base / f"{half}_y.bin")
    (base / "unlabeled_X.bin").write_bytes(b"")
    (base / "class_names.txt").write_text("airplane\nbird\ncar\n")


def svhn(root: Path) -> None:
    from scipy.io import savemat

    root.mkdir(parents=True)
    for half in ("train", "test"):
        labels = np.where(labels_of(half) == 0, 10, labels_of(half))[:, None]
        content = {"X": arrays(half, 32, 32, 3).transpose(1, 2, 3, 0), "y": labels}
        savemat(root / f"{half}_32x32.mat", content)


def flowers102(root: Path) -> None:
    from scipy.io import savemat

    base = root / "flowers-102"
    labels: list[int] = []
    ids: dict[str, list[int]] = {"trnid": [], "valid": [], "tstid": []}
    for half, splits in (("train", ("trnid", "valid")), ("test", ("tstid",))):
        for number, label in numbered(half):
            labels.append(label + 1)
            ids[splits[number % len(splits)]].append(len(labels))
            photograph(base / "jpg" / f"image_{len(labels):05d}.jpg", label)
    savemat(base / "imagelabels.mat", {"labels": np.array(labels)})
    savemat(base / "setid.mat", {key: np.array(found) for key, found in ids.items()})


def food101(root: Path) -> None:
    base = root / "food-101"
    for half in ("train", "test"):
        listed: dict[str, list[str]] = {}
        for number, label in numbered(half):
            listed.setdefault(f"dish{label}", []).append(f"dish{label}/{half}{number}")
            photograph(base / "images" / f"dish{label}" / f"{half}{number}.jpg", label)
        (base / "meta").mkdir(exist_ok=True)
        (base / "meta" / f"{half}.json").write_text(json.dumps(listed))


def dtd(root: Path) -> None:
    base = root / "dtd" / "dtd"
    lists: dict[str, list[str]] = {"train1": [], "val1": [], "test1": []}
    for half, splits in (("train", ("train1", "val1")), ("test", ("test1",))):
        for number, label in numbered(half):
            name = f"kind{label}/{half}{number}.jpg"
            lists[splits[number % len(splits)]].append(name)
            photograph(base / "images" / name, label)
    (base / "labels").mkdir()
    for split, names in lists.items():
        (base / "labels" / f"{split}.txt").write_text("\n".join(names) + "\n")


def oxford_pets(root: Path) -> None:
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for half, split in (("train", "trainval"), ("test", "test")):
        lines = []
        for number, label in numbered(half):
            lines.append(f"cat_{label}_{half}{number} {label + 1} 1 1\n")
            photograph(base / "images" / f"cat_{label}_{half}{number}.jpg", label)
        (base / "annotations" / f"{split}.txt").write_text("".join(lines))


def aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    for half, split in (("train", "trainval"), ("test", "test")):
        lines = []
        for number, label in numbered(half):
            lines.append(f"{half}{label}{number} type {label}\n")
            photograph(data / "images" / f"{half}{label}{number}.jpg", label)
        (data / f"images_variant_{split}.txt").write_text("".join(lines))
    (data / "variants.txt").write_text("".join(f"type {label}\n" for label in range(CLASSES)))


def gtsrb(root: Path) -> None:
    base = root / "gtsrb"
    for number, label in numbered("train"):
        photograph(base / "GTSRB" / "Training" / f"{label:05d}" / f"{number}.ppm", label)
    lines = ["Filename;ClassId"]
    for number, label in numbered("test"):
        lines.append(f"{label}{number}.ppm;{label}")
        photograph(base / "GTSRB" / "Final_Test" / "Images" / f"{label}{number}.ppm", label)
    (base / "GT-final_test.csv").write_text("\n".join(lines) + "\n")


def imagenette(root: Path) -> None:
    for half, split in (("train", "train"), ("test", "val")):
        for number, label in numbered(half):
            wnid = ("n01440764", "n02102040", "n02979186")[label]
            photograph(root / "imagenette2-320" / split / wnid / f"{number}.jpeg", label)


def country211(root: Path) -> None:
    for half, splits in (("train", ("train", "valid")), ("test", ("test",))):
        for number, label in numbered(half):
            folder = root / "country211" / splits[number % len(splits)] / f"country{label}"
            photograph(folder / f"{number}.jpg", label)


_T10K = {"train": "train", "test": "t10k"}

MAKERS: dict[str, Callable[[Path], None]] = {
    "mnist": mnist("MNIST", _T10K),
    "fashion_mnist_full": mnist("FashionMNIST", _T10K),
    "kmnist": mnist("KMNIST", _T10K),
    "emnist_balanced": mnist(
        "EMNIST", {half: f"emnist-balanced-{half}" for half in ("train", "test")}
    ),
    "cifar10": cifar(
        "cifar-10-batches-py",
        {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]},
        "labels",
        ("batches.meta", "label_names"),
    ),
    "cifar100": cifar(
        "cifar-100-python",
        {"train": ["train"], "test": ["test"]},
        "fine_labels",
        ("meta", "fine_label_names"),
    ),
    "svhn": svhn,
    "stl10": stl10,
    "aircraft": aircraft,
    "country211": country211,
    "dtd": dtd,
    "flowers102": flowers102,
    "food101": food101,
    "gtsrb": gtsrb,
    "imagenette": imagenette,
    "oxford_pets": oxford_pets,
}
