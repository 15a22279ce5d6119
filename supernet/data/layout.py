"""Which folder holds which images: the splits and classes of a folder of photographs.

=====================================  ==============================================
``train``, ``training``                what is trained on
``val``, ``valid``, ``validation``     the test images; beside a test folder those that
                                       subnets are chosen by
``test``, ``testing``                  the test images
none of them                           every folder is a class; test images are cut from
                                       its images, as they are where ``train`` is alone
=====================================  ==============================================

Tar files (`supernet.data.shards`) are used alike.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supernet.data.files import ImageFile
from supernet.data.shards import Shards, names_shards, shards_in
from supernet.data.walk import Walk, left_out_told
from supernet.errors import DataError

__all__ = ["Layout", "find_layout"]

_TRAIN = ("train", "training")
_VAL = ("val", "valid", "validation")
_TEST = ("test", "testing")
_SPLITS = {"train": _TRAIN, "val": _VAL, "test": _TEST}
_HINT = "the folder needs train/<class>/<image> and val/<class>/<image>, or <class>/<image> alone"
_CHOSEN_BY = "subnets are chosen by the images of {} and reported on those of {}"
_MOST = 5  # names that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The images of a folder: one tuple of files a class, in the order of the classes."""

    root: Path
    """The folder that all of them are in."""
    classes: tuple[str, ...]
    """Their names in Unicode's composed form (NFC), sorted; in tar files in the order of their
    numbers."""
    train: tuple[tuple[ImageFile, ...], ...]
    """Of the training folder; or all there are."""
    holdout: tuple[tuple[ImageFile, ...], ...] = ()
    """To choose subnets by; empty where they are cut from the training images."""
    test: tuple[tuple[ImageFile, ...], ...] = ()
    """To report on; empty where they are cut from the training images."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Names of the folders of these, by ``train``, ``holdout``, ``test``; empty for the folder
    itself."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, a line each."""


def find_layout(source: Path, cache: Path) -> Layout:
    """The splits and classes of a folder, or of tar files (`supernet.data.shards`).

    Args:
        source: the folder, or a name for the tar files.
        cache: folder where it is kept what tar files hold.

    Raises:
        DataError: there are none that could be trained on.
    """
    _check_text(str(source))
    if not source.is_dir() and not names_shards(str(source)):
        raise DataError(f"{source}: no such folder", hint=_HINT)
    shards = shards_in(source, _SPLITS)
    return _of_folders(source) if shards is None else _of_shards(shards, cache)


def _of_folders(folder: Path) -> Layout:
    walk = Walk()
    places, notes = _places(folder, walk)
    found = {role: _Classes.of(place, walk) for role, place in places.items()}
    if len(found["train"].names) < 2:
        _refuse_few(folder, places["train"], found["train"].names)
    for own in found.values():
        if not own.names:
            raise DataError(
                f"{own.place}: no image lies in a class folder, so nothing says what it shows",
                hint=f"sort its images into {own.place.name}/<class>/, or move it elsewhere: test "
                "images are then cut from the training images",
            )
    return _laid_out(folder, found, notes, walk.told())


def _of_shards(shards: Shards, cache: Path) -> Layout:
    """The splits and classes of tar files."""
    by_split = shards.classes(cache)
    roles, notes = ["train"], []
    if "val" in by_split and "test" in by_split:
        roles += ["holdout", "test"]
        notes.append(_CHOSEN_BY.format("the val tar files", "the test tar files"))
    elif len(by_split) > 1:
        roles.append("test")
    found = {}
    for role, (split, classes) in zip(roles, sorted(by_split.items(), key=_split_order)):
        named = {unicodedata.normalize("NFC", name): images for name, images in classes.items()}
        found[role] = _Classes(
            place=shards.root / split,
            names=tuple(named),
            images=tuple(named.values()),
            notes=(),
        )
    if len(found["train"].names) < 2:
        raise DataError(
            f"{shards.root}: needs images of at least 2 classes in its "
            f"{len(shards.by_split['train'])} tar files to train on, has "
            f"{', '.join(map(repr, found['train'].names)) or 'none'}"
        )
    return _laid_out(shards.root, found, notes, left_out_told(shards.left_out))


def _split_order(item: tuple[str, object]) -> int:
    return list(_SPLITS).index(item[0])


def _laid_out(
    root: Path, found: Mapping[str, "_Classes"], notes: list[str], left_out: str
) -> Layout:
    """The layout of the classes of each role, with what should be known about them."""
    train = found["train"]
    classes = train.names
    sets = {role: own.in_order_of(train) for role, own in found.items() if role != "train"}
    for role, images_of in sets.items():
        notes += found[role].notes
        empty = [name for name, images in zip(classes, images_of) if not images]
        if empty:
            notes.append(
                f"{_some(empty)}: no images in {found[role].place.name}/, so nothing is said about "
                + ("it there" if len(empty) == 1 else "them there")
            )
    notes = [*train.notes, *notes, *([left_out] if left_out else [])]
    return Layout(
        root=root,
        classes=classes,
        train=tuple(train.images),
        holdout=sets.get("holdout", ()),
        test=sets.get("test", ()),
        folders={role: "" if own.place == root else own.place.name for role, own in found.items()},
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
        walk.left_out.clear()  # the files beside the classes are counted with these
        return {"train": folder}, [f"{folder.name}: no train/ in it, so every folder is a class"]
    places, notes = {"train": train}, []
    if val and test:
        places |= {"holdout": val, "test": test}
        notes.append(_CHOSEN_BY.format(f"{val.name}/", f"{test.name}/"))
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
    images: tuple[tuple[ImageFile, ...], ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, place: Path, walk: Walk) -> "_Classes":
        """Those of a folder."""
        found: dict[str, list[ImageFile]] = {}
        empty, joined = [], []
        for name, path in walk.folders(place).items():
            _check_text(str(path))
            images: list[ImageFile] = list(walk.images(path))
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

    def in_order_of(self, train: "_Classes") -> tuple[tuple[ImageFile, ...], ...]:
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
