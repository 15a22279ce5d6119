"""Reading and writing our files: whole or not at all, checked, with a version.

Every JSON and YAML document carries `format: supernet.<kind>` and `version`.
"""

import contextlib
import dataclasses
import difflib
import errno
import functools
import hashlib
import json
import math
import os
import reprlib
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from supernet.errors import ConfigError, FileFormatError, StorageError
from supernet.yaml_text import dump_yaml, parse_yaml

__all__ = [
    "append_line",
    "atomic_path",
    "fill",
    "nearest",
    "read_as",
    "read_document",
    "sha256",
    "storage_error",
    "write_bytes",
    "write_document",
    "write_text",
]

T = TypeVar("T")
_ELSEWHERE = (
    "choose a folder that you may write to: runs go where --run says, tables and decoded images "
    "where SUPERNET_HOME says"
)
_AS_THEY_ARE = frozenset((str, bool, int, float))
_NAMED, _ALIKE = 12, 6  # names in an error
_MAX_DOCUMENT_BYTES = 256 * 2**20


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well.

    Whatever interrupts the block (an error, Ctrl-C, a full disk), an older file
    at `path` stays as it was and the temporary one is removed.

    Raises:
        StorageError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        os.close(handle)
        temporary.chmod(0o644)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        ours = {None, str(path), str(path.parent), str(temporary)}
        if error.filename in ours:
            raise storage_error(path, error) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def storage_error(path: Path, error: OSError) -> StorageError:
    """`error` as one line that says what to do about it."""
    if isinstance(error, StorageError):
        return error
    reasons = {
        errno.ENOSPC: ("no space is left on the disk", "free some space, or choose another --run"),
        errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another --run"),
        errno.EACCES: ("writing there is not permitted", _ELSEWHERE),
        errno.EROFS: ("the file system is read-only", _ELSEWHERE),
        errno.EEXIST: ("there is a file by that name", "choose another folder"),
        errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder"),
    }
    reason, hint = reasons.get(error.errno or 0, (str(error.strerror or error), ""))
    return StorageError(f"cannot write {path}: {reason}", hint=hint)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, content.encode())


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file.

    Raises:
        StorageError: the disk is full or refuses the write.
    """
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
    except OSError as error:
        raise storage_error(path, error) from error


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def nearest(name: str, known: typing.Iterable[str], *, most: int = _NAMED) -> str:
    """`did you mean 'x'?` when something close is known, else the known names.

    Args:
        name: that is not known.
        known: those that are.
        most: of them that are named; of more only the few that are most alike.
    """
    known = sorted(known)
    close = [full for full in known if full.rpartition(":")[2] == name]  # as in optuna:tpe
    close = close or difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(known) <= most:
        return f"known: {', '.join(known) or 'none'}"
    alike = difflib.get_close_matches(name, known, n=_ALIKE, cutoff=0.0)
    return f"the nearest of {len(known)}: {', '.join(alike)}"


def read_as(cls: type[T], path: Path, kind: str, version: int) -> T:
    """A JSON or YAML document of `kind` as a dataclass.

    Raises:
        FileFormatError: as `read_document`.
        ConfigError: values that break rules, all at once, each with the file and its
            key path.
    """
    document = read_document(path, kind, version)
    try:
        return fill(cls, document)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def write_document(
    path: Path, kind: str, version: int, body: Mapping[str, Any], *, lines: str = ""
) -> None:
    """Write a JSON (or, by suffix, YAML) document of `kind`, whole or not at all.

    Args:
        path: of the file.
        kind: what follows ``supernet.`` in its format.
        version: of the format.
        body: everything else.
        lines: a key whose long list is written with one line an item.
    """
    document = {"format": f"supernet.{kind}", "version": version, **_plain(body)}
    if path.suffix in (".yaml", ".yml"):
        write_text(path, dump_yaml(document))
    else:
        rows = document.pop(lines, None)
        text = json.dumps(document, indent=1, allow_nan=False)
        if rows:
            body_text = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
            text = f'{text[:-2]},\n "{lines}": [\n  {body_text}\n ]\n}}'
        elif rows is not None:
            text = f'{text[:-2]},\n "{lines}": []\n}}'
        write_text(path, text + "\n")


def read_document(path: Path, kind: str, version: int) -> dict[str, Any]:
    """The body of a JSON or YAML document, its `format` and `version` checked.

    Raises:
        FileFormatError: no such file, not JSON/YAML, another kind of document, or
            one written by a newer version of this library.
    """
    path = Path(path)
    document = _load(path)
    found = document.pop("format", None)
    if found != f"supernet.{kind}":
        raise FileFormatError(
            f"{path}: expected format 'supernet.{kind}', found {reprlib.repr(found)}"
        )
    number = document.pop("version", None)
    if type(number) is not int or number < 1:
        raise FileFormatError(
            f"{path}: version must be a whole number from 1, found {reprlib.repr(number)}"
        )
    if number > version:
        raise FileFormatError(
            f"{path}: version {number} is newer than {version}, the newest known here",
            hint="update supernet: pip install -U supernet",
        )
    return document


def _plain(value: Any) -> Any:
    """Mappings as dicts and tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_DOCUMENT_BYTES:
            raise FileFormatError(f"{path}: larger than {_MAX_DOCUMENT_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as text: {error}") from None
    try:
        document = parse_yaml(text) if path.suffix in (".yaml", ".yml") else _parse_json(text)
        if "\\u" in text.lower():
            _check_text(document)
    except (ValueError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: not valid {path.suffix[1:] or 'JSON'}: {line}") from None
    if not isinstance(document, dict):
        raise FileFormatError(f"{path}: the top level must be a mapping")
    return document


def _check_text(document: Any) -> None:
    """Refuse halves of characters (surrogates), which cannot be printed or written."""
    rest, seen = [document], set[int]()
    while rest:
        node = rest.pop()
        if isinstance(node, str):
            node.encode()
        elif isinstance(node, dict | list) and id(node) not in seen:
            seen.add(id(node))  # YAML may name one part many times
            rest += [*node, *node.values()] if isinstance(node, dict) else node


def _parse_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not allowed")

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            refuse(number)
        return value

    return json.loads(text, parse_constant=refuse, parse_float=finite)


def fill(cls: type[T], data: Any, where: str = "") -> T:
    """A (nested) dataclass from plain data, every problem reported at once.

    A scalar may stand for a one-element tuple. Unknown keys are problems that
    name the nearest known key.

    Args:
        cls: a dataclass whose fields are plain types, dataclasses or tuples of these.
        data: a mapping, as read from YAML or JSON.
        where: the key path of `data` itself, for messages.

    Raises:
        ConfigError: with one line a problem, each starting with its key path.
    """
    problems: list[str] = []
    value = _fill(cls, data, where, problems)
    if problems:
        raise ConfigError(problems)
    return typing.cast(T, value)


def _fill(cls: Any, data: Any, where: str, problems: list[str]) -> Any:
    if not isinstance(data, Mapping):
        problems.append(f"{where or 'top level'}: expected a mapping, found {reprlib.repr(data)}")
        return None
    hints, fields = _described(cls)
    before = len(problems)
    prefix = f"{where}." if where else ""
    for key in data:
        if key not in hints:
            shown = key if isinstance(key, str) and key.isidentifier() else reprlib.repr(key)
            problems.append(f"{prefix}{shown}: unknown key; {nearest(str(key), hints)}")
    values = {}
    for name, needed in fields:
        if name in data:
            values[name] = _convert(hints[name], data[name], prefix + name, problems)
        elif needed:
            problems.append(f"{prefix}{name}: missing")
    if len(problems) > before:
        return None
    return _collect(lambda: cls(**values), prefix, problems)


@functools.cache  # a latency table has thousands of values of few classes
def _described(cls: Any) -> tuple[dict[str, Any], tuple[tuple[str, bool], ...]]:
    """Types of the fields of a dataclass, and their names with whether they must be given."""
    missing = dataclasses.MISSING
    return typing.get_type_hints(cls), tuple(
        (field.name, field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(cls)
    )


@functools.cache
def _meant(hint: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """The dataclass that a type means, the type of a tuple's items, and choices, if any."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    own = hint
    if isinstance(hint, types.UnionType):  # a dataclass or nothing
        own = next(filter(dataclasses.is_dataclass, arguments), None)
    return (
        own if dataclasses.is_dataclass(own) else None,
        arguments[0] if origin is tuple else None,
        arguments if origin is typing.Literal else (),
    )


def _collect(make: Callable[[], Any], prefix: str, problems: list[str]) -> Any:
    try:
        return make()
    except ConfigError as error:
        problems.extend(prefix + problem for problem in error.problems)
        return None


def _convert(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    if type(value) is hint and hint in _AS_THEY_ARE:
        return value
    own, kind, choices = _meant(hint)
    if own and (value is not None or own is hint):
        return _fill(own, value, where, problems)
    if kind:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(
            _convert(kind, item, f"{where}[{i}]", problems) for i, item in enumerate(items)
        )
    if choices and value not in choices:
        known = ", ".join(map(str, choices))
        problems.append(f"{where}: must be one of {known}; found {reprlib.repr(value)}")
        return None
    return _scalar(hint, value, where, problems)


def _scalar(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    import msgspec

    try:
        return msgspec.convert(value, hint, strict=True)
    except msgspec.ValidationError as error:
        problems.append(f"{where}: {str(error).split(' - at')[0]}, found {reprlib.repr(value)}")
        return None
    except SystemError:  # msgspec 0.19, of an integer beyond the range of a float
        problems.append(f"{where}: out of range, found {reprlib.repr(value)}")
        return None
