"""The published data sets that are known by name: where torchvision has them, how they are seen.

A new one is one record here; the tests that run over all records take it up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["NAMED", "NamedSet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """Where a data set is in torchvision, and how its images are seen."""

    name: str
    """As given to ``--data``."""
    kind: str
    """Its class in `torchvision.datasets`."""
    train: tuple[Mapping[str, Any], ...] = ({"split": "train"},)
    """Arguments of that class for the training images; several are put together."""
    test: Mapping[str, Any]
    """Arguments for the test images."""
    pixels: str = ""
    """Attribute with the decoded images, ``(N, H, W)``, ``(N, H, W, 3)`` or
    ``(N, 3, H, W)``; empty where they are files."""
    files: str = ""
    """Attribute with the paths of the images; with pairs of path and label if `labels`
    is empty."""
    labels: str = ""
    """Attribute with the class indices."""
    classes: tuple[str, ...] = ()
    """Class names, where torchvision does not know them."""
    margin: int = 0
    """Black pixels that are seen around each image in evaluation; training shifts the
    image within them."""
    shift: int = 0
    """Pixels by which training shifts an image that evaluation sees whole."""
    flip: bool = True
    """Whether training mirrors images half of the time."""
    needs: str = ""
    """A package that torchvision reads it with."""


def _digits(kind: str, name: str, **other: Any) -> NamedSet:
    """28 x 28 grey pixels; not mirrored, as the embedded images."""
    return NamedSet(
        name=name,
        kind=kind,
        train=({"train": True, **other},),
        test={"train": False, **other},
        pixels="data",
        labels="targets",
        margin=2,
        flip=False,
    )


def _cifar(kind: str, name: str) -> NamedSet:
    return NamedSet(
        name=name,
        kind=kind,
        train=({"train": True},),
        test={"train": False},
        pixels="data",
        labels="targets",
        shift=4,  # a share of 1/8, as in arXiv:1512.03385
    )


_SVHN = NamedSet(
    name="svhn",
    kind="SVHN",
    test={"split": "test"},
    pixels="data",
    labels="labels",
    classes=tuple("0123456789"),
    shift=2,
    flip=False,
    needs="scipy",
)
_STL10 = NamedSet(
    name="stl10",
    kind="STL10",
    test={"split": "test"},
    pixels="data",
    labels="labels",
    shift=12,
)


def _photographs(
    kind: str,
    name: str,
    *,
    train: Sequence[str] = ("train",),
    test: str = "test",
    options: Mapping[str, Any] | None = None,
    **other: Any,
) -> NamedSet:
    options = options or {}
    return NamedSet(
        name=name,
        kind=kind,
        train=tuple({"split": split, **options} for split in train),
        test={"split": test, **options},
        **other,
    )


def _by_name(records: Iterable[NamedSet]) -> dict[str, NamedSet]:
    found: dict[str, NamedSet] = {}
    for record in records:
        if record.name in found:
            raise ValueError(f"two data sets are named {record.name!r}")
        found[record.name] = record
    return found


NAMED: Mapping[str, NamedSet] = _by_name(
    [
        _cifar("CIFAR10", "cifar10"),
        _cifar("CIFAR100", "cifar100"),
        _digits("MNIST", "mnist"),
        _digits("FashionMNIST", "fashion_mnist_full"),
        _digits("KMNIST", "kmnist"),
        _digits("EMNIST", "emnist_balanced", split="balanced"),
        _SVHN,
        _STL10,
        _photographs(
            "FGVCAircraft", "aircraft", train=("trainval",), files="_image_files", labels="_labels"
        ),
        _photographs("Country211", "country211", train=("train", "valid"), files="samples"),
        _photographs("DTD", "dtd", train=("train", "val"), files="_image_files", labels="_labels"),
        _photographs(
            "Flowers102",
            "flowers102",
            train=("train", "val"),
            needs="scipy",
            files="_image_files",
            labels="_labels",
        ),
        _photographs("Food101", "food101", files="_image_files", labels="_labels"),
        _photographs(
            "GTSRB",
            "gtsrb",
            files="_samples",
            classes=tuple(str(number) for number in range(43)),
            flip=False,  # some signs are the mirror image of others
        ),
        _photographs(
            "Imagenette", "imagenette", test="val", options={"size": "320px"}, files="_samples"
        ),
        _photographs(
            "OxfordIIITPet", "oxford_pets", train=("trainval",), files="_images", labels="_labels"
        ),
    ]
)
"""The data sets by name."""
