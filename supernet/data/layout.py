"""Which folder holds which images: the splits and classes of a folder of photographs.

=====================================  ==============================================
``train``, ``training``                what is trained on
``val``, ``valid``, ``validation``     the test images; beside a test folder those that
                                       subnets are chosen by
``test``, ``testing``                  the test images
none of them                           every folder is a class; test images are cut from
                                       its images, as they are where ``train`` is alone
=====================================  ==============================================
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supernet.data.walk import Walk
from supernet.errors import DataError

__all__ = ["Layout", "find_layout"]

_TRAIN = ("train", "training")
_VAL = ("val", "valid", "validation")
_TEST = ("test", "testing")
_HINT = "the folder needs train/<class>/<image> and val/<class>/<image>, or <class>/<image> alone"
_MOST = 5  # names that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The images of a folder: one tuple of paths a class, in the order of the classes."""

    classes: tuple[str, ...]
    """Their names in Unicode's composed form (NFC), sorted."""
    train: tuple[tuple[str, ...], ...]
    """Of the training folder; or all there are."""
    holdout: tuple[tuple[str, ...], ...] = ()
    """To choose subnets by; empty where they are cut from the training images."""
    test: tuple[tuple[str, ...], ...] = ()
    """To report on; empty where they are cut from the training images."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Names of the folders of these, by ``train``, ``holdout``, ``test``; empty for the folder
    itself."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, a line each."""


def find_layout(folder: Path) -> Layout:
    """The splits and classes of a folder.

    Raises:
        DataError: there are none that could be trained on.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint=_HINT)
    _check_text(str(folder))
    walk = Walk()
    places, notes = _places(folder, walk)
    found = {role: _Classes.of(place, walk) for role, place in places.items()}
    train = found.pop("train")
    classes = train.names
    if len(classes) < 2:
        _refuse_few(folder, places["train"], classes)
    sets = {role: other.in_order_of(train) for role, other in found.items()}
    for role, other in found.items():
        notes += other.notes
        empty = [name for name, images in zip(classes, sets[role]) if not images]
        if empty:
            notes.append(
                f"{_some(empty)}: no images in {places[role].name}/, so nothing is said about "
                + ("it there" if len(empty) == 1 else "them there")
            )
    notes = [*train.notes, *notes, *([told] if (told := walk.told()) else [])]
    return Layout(
        classes=classes,
        train=tuple(train.images),
        holdout=sets.get("holdout", ()),
        test=sets.get("test", ()),
        folders={role: "" if at == folder else at.name for role, at in places.items()},
        notes=tuple(notes),
    )


def _places(folder: Path, walk: Walk) -> tuple[dict[str, Path], list[str]]:
    """The folder of each role there is, with what should be known about it."""
    inner = walk.folders(folder)
    train, val, test = (_one_of(folder, inner, names) for names in (_TRAIN, _VAL, _TEST))
    if train is not None and not Walk().folders(train):  # images at once: a class of this name
        train = None
    if train is None and (val or test):
        other = val or test or folder
        if Walk().folders(other):
            raise DataError(
                f"{folder}: has {other.name}/ but no train/ with class folders", hint=_HINT
            )
    if train is None:
        return {"train": folder}, [f"{folder.name}: no train/ in it, so every folder is a class"]
    places, notes = {"train": train}, []
    if val and test:
        places |= {"holdout": val, "test": test}
        notes.append(
            f"subnets are chosen by the images of {val.name}/ and reported on those of {test.name}/"
        )
    elif val or test:
        places["test"] = val or test or folder
    used = {path.name for path in places.values()}
    other_names = [name for name in inner if name not in used]
    if other_names:
        notes.append(f"{folder.name}: {_some(other_names)} beside {train.name}/ left out")
    return places, notes


def _one_of(folder: Path, inner: Mapping[str, Path], names: Iterable[str]) -> Path | None:
    """The folder that has one of these names, in whatever case.

    Raises:
        DataError: there are several.
    """
    wanted = set(names)
    found = [path for name, path in inner.items() if name.casefold() in wanted]
    if len(found) > 1:
        raise DataError(
            f"{folder}: has {found[0].name}/ and {found[1].name}/, which mean the same",
            hint="move one of them elsewhere",
        )
    return found[0] if found else None


def _refuse_few(folder: Path, train: Path, classes: Sequence[str]) -> None:
    nested = [
        path / name
        for path in Walk().folders(folder).values()
        for name in Walk().folders(path)
        if name.casefold() in _TRAIN
    ]
    hint = f"give {nested[0].parent}, which has {nested[0].name}/" if nested else _HINT
    what = f"only {classes[0]!r}" if classes else "none"
    raise DataError(f"{train}: needs at least 2 class folders with images, has {what}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    """The class folders of one split that hold images."""

    place: Path
    names: tuple[str, ...]
    images: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, place: Path, walk: Walk) -> "_Classes":
        """Those of a folder."""
        found: dict[str, list[str]] = {}
        empty, joined = [], []
        for name, path in walk.folders(place).items():
            _check_text(str(path))
            images = walk.images(path)
            composed = unicodedata.normalize("NFC", name)
            if not images:
                empty.append(composed)
            elif composed in found:
                joined.append(composed)
                found[composed] += images
            else:
                found[composed] = images
        notes = []
        if empty:
            notes.append(f"{place}: no image in {_some(empty)}: left out")
        if joined:
            notes.append(f"{place}: {_some(joined)}: two folders of this name, taken as one class")
        names = tuple(sorted(found))
        images_of = tuple(tuple(found[name]) for name in names)
        return cls(place=place, names=names, images=images_of, notes=tuple(notes))

    def in_order_of(self, train: "_Classes") -> tuple[tuple[str, ...], ...]:
        """The images of each class of `train`; of a class whose name differs by case, too.

        Raises:
            DataError: a class that is not there.
        """
        own = dict(zip(self.names, self.images))
        missing = [name for name in train.names if name not in own]
        extra = []
        for name in [name for name in self.names if name not in train.names]:
            same = [other for other in missing if other.casefold() == name.casefold()]
            if len(same) == 1 and same[0] not in own:
                own[same[0]] = own[name]
            else:
                extra.append(name)
        if extra:
            raise DataError(
                f"{self.place}: {_some(extra)} not in {train.place.name}/, so nothing could learn "
                "what it is",
                hint=f"add images of it to {train.place}, or remove it",
            )
        return tuple(own.get(name, ()) for name in train.names)


def _check_text(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="surrogateescape").decode(errors="replace")
        raise DataError(
            f"{shown}: its name is not UTF-8, so it can be written into no file",
            hint="rename it, for example by `convmv -f latin1 -t utf8`",
        ) from None


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _MOST
    return ", ".join(map(repr, names[:_MOST])) + f" and {more} more" * (more > 0)
