"""One walk over folders of images: what is an image there, and what is left out.

A file whose suffix is known is never opened. One without a suffix, or with one that says
nothing, is recognised by its first bytes. Paths are text here: to make a `Path` of each takes
longer than all the rest.
"""

import importlib
import mimetypes
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from supernet.errors import DataError

__all__ = ["Walk", "entries_of", "image_suffixes", "left_out_told"]

_LITTER = frozenset(
    (
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "__macosx",
        "__pycache__",
        "lost+found",
        "system volume information",
        "desktop.ini",
        "thumbs.db",
    )
)
"""Folders and files that tools leave behind, in small letters."""
_NO_PHOTOGRAPHS = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"))
"""Formats that Pillow names, and reads only with help from elsewhere or not at all."""
_OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
"""Formats that a build of Pillow may lack, and what it calls them."""
_BY_CONTENT = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP")
"""Formats whose first bytes cannot be those of a text."""
_HEIF = "no decoder: pip install pillow-heif"
_RAW = "as the camera stores it: convert to TIFF or JPEG"
_NEEDS = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIF),
    ".avif": "no decoder: pip install -U pillow",
    ".jxl": "no decoder: convert to PNG",
    **dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), _RAW),
    **dict.fromkeys((".eps", ".svg", ".wmf"), "drawings: convert to PNG"),
}
"""Images that cannot be read as they are, and what to do about it."""
_PREFIX = 32  # bytes that are looked at


@lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Suffixes, in small letters, of files that Pillow can read here; with its plugins."""
    from PIL import Image, features

    if find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    built = features.get_supported()
    lacking = {name for name, feature in _OPTIONAL.items() if feature not in built}
    readable = Image.OPEN.keys() - _NO_PHOTOGRAPHS - lacking
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in readable)


@lru_cache(maxsize=1)
def _other_suffixes() -> frozenset[str]:
    """Suffixes of files that are surely no images, so that they need not be opened."""
    known = mimetypes.MimeTypes().types_map[True]
    other = {suffix for suffix, kind in known.items() if not kind.startswith("image/")}
    return frozenset(other - image_suffixes())


class Walk:
    """Lists images below folders, and counts the files that are left out, by kind.

    Hidden files and folders and those of other tools are passed over without a word. Links
    are followed; a folder that was seen before, below the same start, is not seen again.
    """

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        """Files by what they are, in words."""

    def folders(self, folder: Path) -> dict[str, Path]:
        """The folders in `folder`, by name, sorted; its files are counted as left out."""
        found: dict[str, Path] = {}
        for entry in sorted(entries_of(folder), key=lambda entry: entry.name):
            if _is_litter(entry.name):
                continue
            if _is_folder(entry):
                found[entry.name] = Path(entry.path)
            elif self._is_image(entry):
                self.left_out["outside of class folders"] += 1
        return found

    def images(self, folder: Path) -> list[str]:
        """The paths of the images at any depth below `folder`, sorted."""
        found: list[str] = []
        count = 0
        for count, some in enumerate(self._by_folder(folder), 1):  # noqa: B007  # told after the loop
            found += some
        found.sort(key=_parts if count > 1 else None)  # by folders, where there are several
        return found

    def any_image(self, folders: Iterable[Path]) -> bool:
        """Whether there is an image below one of these; it looks no further than to the first."""
        return any(some for folder in folders for some in self._by_folder(folder))

    def told(self) -> str:
        """One line about what was left out; empty where nothing was."""
        return left_out_told(self.left_out)

    def _by_folder(self, folder: Path) -> Iterator[list[str]]:
        """The images in a folder, then those in each folder below it."""
        seen: set[tuple[int, int]] = set()
        waiting = [str(folder)]
        while waiting:
            current = waiting.pop()
            try:
                stat = Path(current).stat()
            except OSError as error:
                raise _unlisted(current, error) from None
            if (stat.st_dev, stat.st_ino) not in seen:
                seen.add((stat.st_dev, stat.st_ino))
                found: list[str] = []
                waiting += self._listed(current, found)
                yield found

    def _listed(self, folder: str, found: list[str]) -> list[str]:
        """Add the images in a folder to `found`; the folders in it, the last first."""
        known, inner = image_suffixes(), []
        for entry in entries_of(folder):
            name = entry.name
            if name[0] == "." or name.lower() in _LITTER:
                continue
            # a file with the right suffix is the usual case: one look-up, never opened
            if name[name.rfind(".") :].lower() in known and _is_file(entry):
                found.append(entry.path)
            elif _is_folder(entry):
                inner.append(entry.path)
            elif self._is_image(entry):
                found.append(entry.path)
        return sorted(inner, reverse=True)

    def _is_image(self, entry: "os.DirEntry[str]") -> bool:
        """Whether a file is an image; what is none is counted."""
        suffix = Path(entry.name).suffix.lower()
        if not _is_file(entry):
            kind = "leading nowhere (links)" if entry.is_symlink() else "pipes or devices"
        elif suffix in image_suffixes():
            return True
        elif suffix in _NEEDS:
            kind = f"{suffix} ({_NEEDS[suffix]})"
        elif suffix not in _other_suffixes() and _holds_image(entry.path):
            return True
        else:
            kind = "not images"
        self.left_out[kind] += 1
        return False


def entries_of(folder: str | Path) -> "list[os.DirEntry[str]]":
    """What is in a folder.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unlisted(folder, error) from None


def left_out_told(left_out: Counter[str]) -> str:
    """One line about files that are left out, by what they are; empty where there are none."""
    if not left_out:
        return ""
    total = sum(left_out.values())
    parts = (f"{count:,} {kind}" for kind, count in left_out.most_common())
    return f"left out {total:,} file{'s' * (total > 1)}: {', '.join(parts)}"


def _unlisted(folder: str | Path, error: OSError) -> DataError:
    return DataError(
        f"{folder}: cannot be listed: {error.strerror or error}",
        hint=f"get the right to read it (chmod -R u+rX {shlex.quote(str(folder))}), or move it "
        "elsewhere",
    )


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, or a link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where one may not look
        return False


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a file, or a link that leads to one."""
    try:
        return entry.is_file()
    except OSError:  # likewise
        return False


def _parts(path: str) -> tuple[str, ...]:
    return Path(path).parts


def _is_litter(name: str) -> bool:
    return name[0] == "." or name.lower() in _LITTER


def _holds_image(path: str) -> bool:
    """Whether a file begins as an image does, and Pillow can read its header."""
    from PIL import Image

    image_suffixes()  # all formats are known then
    try:
        with Path(path).open("rb") as handle:
            prefix = handle.read(_PREFIX)
        accepting = ((name, Image.OPEN[name][1]) for name in _BY_CONTENT if name in Image.OPEN)
        likely = [name for name, accepts in accepting if accepts and accepts(prefix) is True]
        if not likely:
            return False
        with Image.open(path, formats=likely):
            return True
    except (OSError, ValueError, SyntaxError):  # unreadable, or it only begins like one
        return False
