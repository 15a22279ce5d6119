"""What was measured so far, a line each: whatever ends a run, whole lines stay.

The first line says of what; a run is only continued with the same. A line that was cut
off, and whatever follows it, is dropped.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import IO, Any

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.latency.kit.protocol import Visit

__all__ = ["FORMAT", "VERSION", "Journal", "OtherRunError", "read_journal"]

FORMAT, VERSION = "supernet.kit_journal", 2  # 2: ratios are to an operator of the plan
_VALUES = 3  # of a visit


class OtherRunError(ConfigError):
    """The journal is of another run."""


class Contents:
    """What a journal holds."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.header = header
        self.visits: dict[str, list[Visit]] = {}
        self.events: list[str] = []
        self.size = 0
        """Bytes of the whole lines."""
        self.dropped = 0
        """Bytes of what was cut off."""


def read_journal(path: Path) -> Contents:
    """The whole lines of a journal.

    Raises:
        FileFormatError: not a journal, one of a newer version, or not to be read.
    """
    raw = _bytes(path)
    lines = raw.split(b"\n")[:-1]  # what follows the last end of line is cut off
    header = _entry(lines[0]) if lines else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileFormatError(f"{path}: not the journal of a kit", hint="remove it, or use --fresh")
    if header.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: version {header.get('version')!r} of a journal, this kit writes {VERSION}",
            hint="go on with the kit that began it, or use --fresh",
        )
    found = Contents(header)
    found.size = len(lines[0]) + 1
    for line in lines[1:]:
        if not _take(_entry(line), found):
            break
        found.size += len(line) + 1
    found.dropped = len(raw) - found.size
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from None


def _line(entry: Any) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None


def _take(entry: Any, found: Contents) -> bool:
    """Add one line; whether it is one."""
    if isinstance(entry, dict) and isinstance(entry.get("event"), str):
        found.events.append(entry["event"])
        return True
    if not isinstance(entry, list) or len(entry) != 1 + _VALUES or not isinstance(entry[0], str):
        return False
    numbers = entry[1:]
    if not all(type(n) in (int, float) and 0 < n < math.inf for n in numbers):
        return False
    found.visits.setdefault(entry[0], []).append(Visit(*numbers))
    return True


class Journal:
    """The journal of a run, continued when it is there.

    Args:
        path: of the file.
        header: what is measured, and how.
        fresh: begin anew.

    Raises:
        OtherRunError: the file is of another run: names what differs.
        FileFormatError: the file is no journal.
    """

    def __init__(self, path: Path, header: dict[str, Any], *, fresh: bool = False) -> None:
        self.path = path
        self.contents = Contents({**header, "format": FORMAT, "version": VERSION})
        if path.exists() and not fresh and not self._is_cut():
            self.contents = read_journal(path)
            self._check(header)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] | None = path.open("r+b" if self.contents.size else "wb")
            self._file.truncate(self.contents.size)
            self._file.seek(self.contents.size)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from None
        if not self.contents.size:
            self._write(self.contents.header)

    def _is_cut(self) -> bool:
        """Whether no line of it is whole, as where the power went: then nothing was measured."""
        return _line(self.contents.header).startswith(_bytes(self.path).rstrip(b"\0"))

    def _check(self, header: dict[str, Any]) -> None:
        found = self.contents.header
        differ = [key for key, value in header.items() if found.get(key) != value]
        if differ:
            key = differ[0]
            raise OtherRunError(
                f"{self.path} was begun with {key} {found.get(key)!r}, now it is {header[key]!r}",
                hint="give another -o, or --fresh to begin anew",
            )

    def visit(self, key: str, visit: Visit) -> None:
        """Keep a visit."""
        self._write([key, *(float(f"{value:.6g}") for value in visit)])

    def event(self, text: str) -> None:
        """Keep what happened."""
        self.contents.events.append(text)
        self._write({"event": text})

    def _write(self, entry: Any) -> None:
        assert self._file is not None
        try:
            self._file.write(_line(entry))
            self._file.flush()
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from None

    def close(self) -> None:
        """Write everything out to the disk."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with file:
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from None
