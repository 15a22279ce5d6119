"""Tar files of images (shards), as WebDataset writes them, in place of class folders.

A folder of ``.tar`` files, or a name with ``*`` or braces that ends with ``.tar``. A file, or its
folder, with ``train``, ``val`` or ``test`` among the words of its name is of that split; where no
name says so, all are to train on. Classes are numbers; names come from ``classnames.txt``, a line
each, or ``classnames.json`` beside the files.
"""

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from supernet.data.files import ImageFile, Member
from supernet.data.tars import Label, read_tar
from supernet.data.walk import Walk, entries_of
from supernet.errors import DataError

__all__ = ["SUFFIX", "Shards", "are_there", "names_shards", "shards_in"]

SUFFIX = ".tar"
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 100_000  # files that braces may name
_NAMES = ("classnames.txt", "classnames.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """Tar files by what they are used for: ``train``, ``val``, ``test``."""

    root: Path
    """The folder that all of them are in."""
    by_split: Mapping[str, Sequence[Path]]
    left_out: Counter[str] = field(default_factory=Counter)
    """What of their content is no image, counted while it is read."""

    def classes(self, cache: Path) -> dict[str, dict[str, tuple[ImageFile, ...]]]:
        """By split the images of each class, by its name, in the order of the numbers.

        Raises:
            DataError: a file is damaged, or labels do not fit.
        """
        read = {split: self._by_label(paths, cache) for split, paths in self.by_split.items()}
        labels = {label for by_label in read.values() for label in by_label}
        names = self._names(labels)
        return {
            split: {names[label]: by_label[label] for label in names if label in by_label}
            for split, by_label in read.items()
        }

    def _by_label(self, paths: Sequence[Path], cache: Path) -> dict[Label, tuple[ImageFile, ...]]:
        found: dict[Label, list[Member]] = {}
        for path in paths:
            tar = read_tar(path, cache)
            self.left_out.update(tar.left_out)
            for image, label in tar.images:
                found.setdefault(label, []).append(image)
        return {label: tuple(images) for label, images in found.items()}

    def _names(self, labels: set[Label]) -> dict[Label, str]:
        """The name of each class, in their order."""
        numbers = sorted(label for label in labels if isinstance(label, int))
        texts = sorted(label for label in labels if isinstance(label, str))
        if not numbers:
            return {text: text for text in texts}
        if texts:
            raise DataError(
                f"{self.root}: some images are labelled by number ({numbers[0]}), others by name "
                f"({texts[0]!r})",
                hint="label all of them alike",
            )
        told = _class_names(self.root)
        if told is None:
            return {number: str(number) for number in numbers}
        path, known = told
        missing = [number for number in numbers if number not in known]
        if missing:
            raise DataError(
                f"{path}: has no name for class {missing[0]}; it names {len(known):,} classes, "
                "the first is 0",
                hint="name all of them, or remove that file",
            )
        often = Counter(known[number] for number in numbers)  # ImageNet has two named crane
        return {
            number: known[number] + f" ({number})" * (often[known[number]] > 1)
            for number in numbers
        }


def names_shards(data: str) -> bool:
    """Whether this names tar files and no folder."""
    return _ends(data, (SUFFIX, *_COMPRESSED)) and not Path(data).is_dir()


def are_there(data: str) -> bool:
    """Whether any of the tar files is there that are named so."""
    return any(_matching(name) for name in _expanded(data))


def shards_in(source: Path, splits: Mapping[str, Sequence[str]]) -> Shards | None:
    """The tar files of a folder or a name; None where it is a folder of class folders.

    Args:
        source: a folder, or a name as `names_shards` takes it.
        splits: words that name each split.

    Raises:
        DataError: there are none by that name, or what they are used for is not clear.
    """
    paths = _in_folder(source, splits) if source.is_dir() else _named(str(source))
    if not paths:
        return None
    root = Path(os.path.commonpath([path.parent for path in paths]))
    by_split: dict[str, list[Path]] = {}
    for path in paths:
        by_split.setdefault(_split_of(path, root, splits), []).append(path)
    told = [split for split in by_split if split]
    if "" in by_split and told:
        raise DataError(
            f"{by_split[''][0]}: its name says neither train, val nor test, as that of "
            f"{by_split[told[0]][0].name} does",
            hint="rename it, or give one split alone, such as --data 'train-*.tar'",
        )
    if "train" not in by_split:
        if source.is_dir() and len(told) == 1 and told[0] not in source.name.casefold():
            raise DataError(f"{source}: has {told[0]} tar files but none to train on")
        if len(told) > 1:
            raise DataError(f"{source}: has {' and '.join(told)} tar files but none to train on")
        by_split = {"train": paths}
    root = root.parent if len(by_split) == 1 and _is_split(root, splits) else root
    return Shards(root=root, by_split=by_split)


def _in_folder(folder: Path, splits: Mapping[str, Sequence[str]]) -> list[Path]:
    """The tar files of a folder, or of its folders that are named as splits.

    None where images lie in its folders: these are class folders, whatever is beside them.
    """
    inner = list(Walk().folders(folder).values())
    parted = [path for place in inner if _is_split(place, splits) for path in _tars_in(place)]
    if parted:
        return parted
    names = sorted(entry.name for entry in entries_of(folder) if entry.name[0] != ".")
    packed = [name for name in names if _ends(name, _COMPRESSED)]
    paths = [folder / name for name in names if _ends(name, SUFFIX)]
    if not (packed or paths) or Walk().any_image(inner):
        return []
    paths = [path for path in paths if path.is_file()]
    if packed and not paths:
        raise _packed(folder / packed[0])
    return paths


def _tars_in(place: Path) -> list[Path]:
    """The tar files of the folder of a split; none where images lie in its folders."""
    names = sorted(entry.name for entry in entries_of(place) if entry.name[0] != ".")
    paths = [place / name for name in names if _ends(name, SUFFIX)]
    if not paths or Walk().any_image(Walk().folders(place).values()):
        return []
    return [path for path in paths if path.is_file()]


def _ends(name: str, suffix: str | tuple[str, ...]) -> bool:
    """Whether a name ends so, in small letters or in capitals."""
    return name.lower().endswith(suffix)


def _named(text: str) -> list[Path]:
    """The files that a name with braces or stars stands for.

    Raises:
        DataError: one of them is not there, or compressed.
    """
    found: list[Path] = []
    for name in _expanded(text):
        if _ends(name, _COMPRESSED):
            raise _packed(Path(name))
        some = _matching(name)
        if not some:
            raise DataError(
                f"{name}: no such file" + f", named by {text}" * (name != text),
                hint="put a name with braces or * in quotes: --data 'train-{000..012}.tar'",
            )
        found += some
    return list(dict.fromkeys(found))


def _matching(name: str) -> list[Path]:
    """The files of a name in which stars may stand for anything."""
    found = sorted(glob.glob(name))  # noqa: PTH207  # a name may be absolute or not
    return [Path(path) for path in found if Path(path).is_file()]


def _expanded(text: str) -> Iterator[str]:
    """All that braces stand for, as in a shell: ``{000..012}``, ``{train,val}``."""
    braces = _BRACES.search(text)
    if braces is None:
        yield text
        return
    inner = braces.group(1)
    bounds = _RANGE.fullmatch(inner)
    if bounds:
        first, last = int(bounds[1]), int(bounds[2])
        if not 0 <= last - first < _MOST:
            raise DataError(f"{text}: {{{inner}}} must count up, to {_MOST:,} files at most")
        width = len(bounds[1])
        parts = [f"{number:0{width}d}" for number in range(first, last + 1)]
    else:
        parts = inner.split(",")
    for part in parts:
        yield from _expanded(text[: braces.start()] + part + text[braces.end() :])


def _split_of(path: Path, root: Path, splits: Mapping[str, Sequence[str]]) -> str:
    """The split that a file's name tells, or that of the folder that it is in; or nothing."""
    for name in (path.stem, path.parent.name if path.parent != root else ""):
        words = set(re.split(r"[^a-z]+", name.casefold()))
        told = [split for split, known in splits.items() if words & set(known)]
        if len(told) > 1:
            raise DataError(
                f"{path}: its name says {told[0]} and {told[1]}", hint="rename it for one of them"
            )
        if told:
            return told[0]
    return ""


def _is_split(folder: Path, splits: Mapping[str, Sequence[str]]) -> bool:
    return any(folder.name.casefold() in known for known in splits.values())


def _packed(path: Path) -> DataError:
    return DataError(
        f"{path}: is compressed, so no image in it can be read by itself",
        hint="unpack it to a plain .tar, for example by gunzip",
    )


def _class_names(folder: Path) -> tuple[Path, dict[int, str]] | None:
    """Names by number, and the file that has them."""
    path = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".txt":
            return path, _by_line(path, text)
        told = json.loads(text)
        pairs = told.items() if isinstance(told, dict) else enumerate(told)
        return path, {int(number): str(name) for number, name in pairs}
    except DataError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: not the names of classes: {' '.join(str(error).split())[:80]}",
            hint='a line each in a .txt; in a .json ["cat", "dog"] or {"0": "cat", "1": "dog"}',
        ) from None


def _by_line(path: Path, text: str) -> dict[int, str]:
    """The name on each line, by its number from 0; empty lines at the end are no names."""
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if "" in lines:
        raise DataError(
            f"{path}: line {lines.index('') + 1} is empty, so it is not clear which class has "
            f"the name on line {lines.index('') + 2}",
            hint="line 1 names class 0, line 2 class 1, and so on: name it, or take the line out",
        )
    return dict(enumerate(lines))
