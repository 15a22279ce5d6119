"""Files by path or by URL: downloaded once, whole or not at all, and checked.

A checksum is known from the URL itself (``#sha256=...``, as in pip), from the file's
name (``name-<first hex digits of the sha256>.pth``, as in torch.hub), or from the list
below.
"""

import hashlib
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from supernet.errors import DataError, FileFormatError
from supernet.files import atomic_path, sha256
from supernet.places import user_folder
from supernet.progress import Progress, silent

__all__ = ["fetch", "is_url", "name_of"]

PUBLISHED = "https://raw.githubusercontent.com/han-cai/files/master/"
"""Where the authors of Once-for-All and ProxylessNAS host their small files."""

_SUMS = """\
48685122a3540636b06699af66cd816456b25f29b69563e2fda9bed4018eeba0 ofa/acc_predictor.pth
a2671a45e9400542679ed03de946b45d6a35010f9ab21834af3e7ba8341d36d1 ofa/note10/160_lookup_table.yaml
34223ae037d5719a5f33261bdfd9341f590a2999edf520f174309605dc06307c ofa/note10/176_lookup_table.yaml
0ff5ca0649e56ad34a42d6a8a6f20adb5121c8d12d135299397b310472db79e2 ofa/note10/192_lookup_table.yaml
41aa63af766a8298354e6aa5ae69d512ac68656a6e7d0a4fa5dc725c8d438633 ofa/note10/208_lookup_table.yaml
c13a9bcb3f4becae844bce4897129c4e42975984c1029cbd5acb48c970136530 ofa/note10/224_lookup_table.yaml
68912b4b4be38feb504c5b773dc847af23a637984d5eaabf548de72cd0f79529 ofa/ofa_resnet50_acc_predictor.pth
087e855ea77f9b257e72f3637333a3e0938f6df77f579520f16d057ac45380aa proxylessnas/mobile_trim.yaml
"""
_KNOWN = {name: digest for digest, name in map(str.split, _SUMS.splitlines())}
_SCHEMES = ("http", "https", "file")
_BLOCK = 1 << 18
_MOST_BYTES = 4 << 30
_NAME_LENGTH = 80
_DAY = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_PATIENCE_SECONDS = 60.0


def is_url(source: str) -> bool:
    """Whether `source` is a URL that can be fetched, not a path."""
    return source.partition("://")[0].lower() in _SCHEMES and "://" in source


def name_of(source: str) -> str:
    """A name for what was published: that of its folder, where the file has none."""
    if is_url(source):
        source = re.split("[?#]", source)[0]
    parts = [part for part in source.split("/") if part] or [""]
    stem = parts[-1].removesuffix(".config").removesuffix(".json")
    if stem == "net" and len(parts) > 1:
        stem = parts[-2]
    kept = "".join(c if c.isalnum() or c in "_-." else "-" for c in stem).strip("._-")
    return kept[:_NAME_LENGTH] or "network"


def fetch(source: str, progress: Progress = silent) -> Path:
    """The file that `source` names; one behind a URL is downloaded into the cache.

    Args:
        source: a path, or an ``http``, ``https`` or ``file`` URL.
        progress: told about the bytes, in kB.

    Raises:
        DataError: there is no such file, or it cannot be downloaded.
        FileFormatError: its checksum is not the known one; nothing is kept.
        StorageError: the disk refuses it.
    """
    if not is_url(source):
        return _local(source)
    url, _, fragment = source.partition("#")
    name = _file_name(url)
    expected = _checksum(url, fragment)
    folder = user_folder() / "downloads" / hashlib.sha256(url.encode()).hexdigest()[:16]
    path = folder / name
    if not (path.is_file() and _fits(path, expected)):
        with atomic_path(path) as temporary:
            _download(url, temporary, name, progress)
            if not _fits(temporary, expected):
                raise FileFormatError(
                    f"{url}: its sha256 is {sha256(temporary)}, expected {expected}",
                    hint="the file was changed or damaged on its way; nothing was kept",
                )
    return path


def _local(source: str) -> Path:
    path = Path(source)
    try:
        known = path.is_file() or path.is_dir()
    except OSError as error:
        raise DataError(f"{_shown(source)}: cannot be read: {error.strerror}") from None
    if not known:  # devices and pipes, which may never end, are none
        raise DataError(f"{_shown(source)}: no such file")
    return path


def _shown(source: str) -> str:
    """`source` on one line of an error."""
    return source[:200] if source.isprintable() else repr(source[:200])


def _file_name(url: str) -> str:
    """A name for the file behind a URL that any file system takes.

    Raises:
        DataError: not a URL.
    """
    try:
        path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    except ValueError as error:
        raise DataError(f"{_shown(url)}: not a URL: {error}") from None
    if not url.isprintable() or " " in url:
        raise DataError(f"{_shown(url)}: not a URL: it holds blanks or control characters")
    safe = re.sub(r"[^\w.@+-]", "_", PurePosixPath(path).name, flags=re.ASCII)
    return safe[-_NAME_LENGTH:].lstrip(".") or "file"


def _checksum(url: str, fragment: str) -> str:
    """The known leading hex digits of the file's sha256; empty for none.

    Raises:
        FileFormatError: the URL ends in a fragment that is no checksum.
    """
    if fragment:
        found = re.fullmatch(r"sha256=([0-9a-fA-F]{8,64})", fragment)
        if not found:
            raise FileFormatError(
                f"{_shown(url)}: expected #sha256= and 8 to 64 hex digits, found {fragment[:80]!r}"
            )
        return found.group(1).lower()
    if url.startswith(PUBLISHED):
        return _KNOWN.get(url.removeprefix(PUBLISHED), "")
    named = re.search(r"-([0-9a-f]{8,64})\.[A-Za-z0-9]+$", url)
    return named.group(1) if named and not _DAY.fullmatch(named.group(1)) else ""


def _fits(path: Path, expected: str) -> bool:
    return sha256(path).startswith(expected)


def _download(url: str, path: Path, name: str, progress: Progress) -> None:
    done = total = 0
    with path.open("wb") as target:
        for block, total in _blocks(url):
            done += len(block)
            if done > _MOST_BYTES:
                raise DataError(f"{url}: larger than {_MOST_BYTES >> 30} GB")
            target.write(block)
            progress(done // 1000, max(total, done) // 1000, f"downloading {name}, kB")
    if total and done != total:
        raise DataError(f"{url}: {done} of {total} bytes came", hint="try again")


def _blocks(url: str) -> Iterator[tuple[bytes, int]]:
    """The bytes behind a URL, block by block, each with the number announced for all.

    Raises:
        DataError: they could not be downloaded.
    """
    try:
        ascii_url = urllib.parse.quote(url, safe="!#$%&'()*+,/:;=?@[]~")  # as browsers do
        request = urllib.request.Request(ascii_url, headers={"User-Agent": "supernet"})  # noqa: S310  # schemes are checked in `is_url`
        with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310  # likewise
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(_BLOCK):
                yield block, total
            yield b"", total
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = " ".join(str(getattr(error, "reason", error)).split())[:160]
        raise DataError(
            f"{url}: cannot be downloaded: {reason or type(error).__name__}",
            hint="download it by other means and give the path of the file",
        ) from None
