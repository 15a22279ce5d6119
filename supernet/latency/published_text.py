"""The text of published latency tables: keys with numbers, as YAML or JSON.

The usual form, a key with indented numbers, is read line by line: fifty times as fast as a
parser of all YAML, and errors name their line. Numbers may also stand in braces behind the
key, and a whole file in braces is JSON or flow-style YAML.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from supernet.errors import FileFormatError

__all__ = ["Numbers", "read_numbers"]

_MAX_BYTES = 16 << 20
_MAX_FLOW_BYTES = 2 << 20  # a parser of all YAML takes half a minute for so many
_MOST_DEPTH = 8
_ENTRY = re.compile(r"\s+(\w+):\s*(\S+)\s*(?:#.*)?")
_BRACES = re.compile(r"(?P<key>[^{}]+?)\s*:\s*\{(?P<pairs>[^{}]*)\}\s*(?:#.*)?")
_PAIR = re.compile(r"""\s*(['"]?)(\w+)\1\s*:\s*(\S+)\s*""")

Numbers = tuple[str, str, Mapping[str, float]]
"""Where a row stands (``file, line 3``), its key, and its numbers by name."""


def read_numbers(path: Path) -> Iterator[Numbers]:
    """The rows of a file.

    Raises:
        FileFormatError: not such a file, or a key that is there twice.
    """
    text = _text(path)
    rows = _of_document(path, text) if text.lstrip()[:1] == "{" else _of_lines(path, text)
    found = set[str]()
    for where, key, numbers in rows:
        if key in found:
            raise FileFormatError(f"{where}: {key[:80]!r} is there twice")
        found.add(key)
        yield where, key, numbers
    if not found:
        raise FileFormatError(f"{path}: no row in it; not a published latency table")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than {_MAX_BYTES >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as text: {error}") from None


# ---------------------------------------------------------------- in braces as a whole


def _of_document(path: Path, text: str) -> Iterator[Numbers]:
    """Rows of a JSON file, or of YAML in flow style."""
    for key, value in _document(path, text):
        where = f"{path}, key {str(key)[:80]!r}"
        pairs = value.items() if isinstance(value, Mapping) else [("mean", value)]
        yield where, str(key), {str(name): _number(where, one) for name, one in pairs}


def _document(path: Path, text: str) -> list[tuple[Any, Any]]:
    """The outer pairs; as a list, in which a key that is there twice still is."""
    depth: list[list[tuple[str, Any]]] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        depth.append(found)  # the outer one comes last
        return dict(found)

    try:
        if isinstance(json.loads(text, object_pairs_hook=pairs), dict):
            return list(depth[-1])
    except (ValueError, RecursionError):
        pass
    return list(_flow(path, text).items())


def _flow(path: Path, text: str) -> Mapping[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > _MAX_FLOW_BYTES:
        raise FileFormatError(
            f"{path}: YAML in braces larger than {_MAX_FLOW_BYTES >> 20} MB",
            hint="write it as JSON, or one key a line",
        )
    if _depth(text) > _MOST_DEPTH:  # the parser takes seconds for what is nested deeply
        raise FileFormatError(f"{path}: neither JSON nor YAML of a table: nested too deeply")
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        where = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        reason = getattr(error, "problem", None) or str(error)
        line = "".join(c if c.isprintable() else " " for c in " ".join(reason.split()))
        raise FileFormatError(f"{path}{where}: neither JSON nor YAML: {line[:160]}") from None
    if not isinstance(found, Mapping):
        raise FileFormatError(f"{path}: the top level must be a mapping")
    return found


def _depth(text: str) -> int:
    depth = deepest = 0
    for sign in re.findall(r"[][{}]", text):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


# ---------------------------------------------------------------- line by line


def _of_lines(path: Path, text: str) -> Iterator[Numbers]:
    key, where, numbers = "", "", dict[str, float]()
    for number, line in _joined(text):
        here = f"{path}, line {number}"
        if line[:1].isspace() and line.strip():
            entry = _ENTRY.fullmatch(line)
            if not key or not entry or entry.group(1) in numbers:
                raise FileFormatError(f"{here}: expected `name: number`, once each")
            numbers[entry.group(1)] = _number(here, entry.group(2))
            continue
        if key:
            yield where, key, numbers
        braces = _BRACES.fullmatch(line)
        if braces:
            numbers = _pairs(here, braces["pairs"])
            yield here, _bare(braces["key"]), numbers
            key = ""
        else:
            key, where, numbers = _bare(line.strip().removesuffix(":")), here, {}


def _bare(key: str) -> str:
    return key.strip().strip("'\"").removesuffix(":").strip("'\"")


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments, braces that go over several as one; an empty one last."""
    begun, since = "", 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if begun and line:
            begun = f"{begun} {line.strip()}"
        elif line.strip() in ("---", "...") or line.lstrip().startswith("#"):
            continue
        else:
            if begun:
                yield since, begun
            begun, since = line, number
        if "{" in begun and "}" not in begun:
            continue
        yield since, begun
        begun = ""


def _pairs(where: str, text: str) -> dict[str, float]:
    numbers = dict[str, float]()
    for part in text.split(",") if text.strip() else ():
        pair = _PAIR.fullmatch(part)
        if not pair or pair[2] in numbers:
            raise FileFormatError(f"{where}: expected `name: number` in the braces, once each")
        numbers[pair[2]] = _number(where, pair[3])
    return numbers


def _number(where: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < 1e9:
        raise FileFormatError(f"{where}: expected a number from 0, found {str(value)[:40]!r}")
    return number
