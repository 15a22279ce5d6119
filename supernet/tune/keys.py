"""Keys of a recipe and of a space as dotted paths: found, read and set in plain values."""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from supernet.files import nearest
from supernet.space import Space
from supernet.train import Recipe

__all__ = ["Place", "find", "plain", "read", "written"]

Path: TypeAlias = tuple[str | int, ...]

_ROOTS: dict[str, Any] = {"recipe": Recipe, "space": Space}
_OF_DATA = ("in_channels", "num_classes")  # of a space, decided by the images


@dataclass(frozen=True, slots=True)
class Place:
    """One value of a recipe or a space."""

    path: Path
    """Such as ``("recipe", "phases", 0, "lr")``."""
    type: Any
    """What the schema says about it."""

    @property
    def kind(self) -> str:
        """``float``, ``int`` (of a list: of its items), or empty for anything else."""
        hint = self.type
        while typing.get_origin(hint) is tuple:
            hint = typing.get_args(hint)[0]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        return next((n for n, t in (("float", float), ("int", int)) if t in options), "")


def plain(recipe: Recipe, space: Space) -> dict[str, Any]:
    """Both as nested plain values, by ``recipe`` and ``space``."""
    return {"recipe": _lists(asdict(recipe)), "space": _lists(asdict(space))}


def find(key: str, values: Mapping[str, Any]) -> tuple[list[Place], list[str]]:
    """The places that a key names, and what is wrong with it.

    Args:
        key: dotted; items of a list by number from 0, phases also by name, ``*`` for all.
        values: as `plain` makes them.
    """
    parts = re.sub(r"\[([^\]]*)\]", r".\1", key).split(".")
    if parts[0] not in _ROOTS:
        return [], [f"{key}: a key begins with recipe or space; {nearest(parts[0], _ROOTS)}"]
    if parts[0] == "space" and parts[-1] in _OF_DATA:
        return [], [f"{key}: is decided by the images"]
    if len(parts) == 1:
        return [], [f"{key}: name a key of it"]
    problems: list[str] = []
    start = Place((parts[0],), _ROOTS[parts[0]])
    found = list(_walk(start, values[parts[0]], parts[1:], problems))
    return found, list(dict.fromkeys(problems))


def _walk(place: Place, value: Any, rest: list[str], problems: list[str]) -> Iterator[Place]:
    if not rest:
        yield place
        return
    part, *rest = rest
    where = ".".join(map(str, (*place.path, part)))
    hint = _dataclass_of(place.type)
    if hint is not None:
        hints = typing.get_type_hints(hint)
        if part not in hints:
            problems.append(f"{where}: unknown key; {nearest(part, hints)}")
            return
        inner = value.get(part) if isinstance(value, Mapping) else None
        yield from _walk(Place((*place.path, part), hints[part]), inner, rest, problems)
    elif typing.get_origin(place.type) is tuple:
        items = value or []
        indices = _indices(part, items)
        if not indices:
            named = [item["name"] for item in items if isinstance(item, Mapping) and "name" in item]
            known = ", ".join(named) or f"0 to {len(items) - 1}"
            problems.append(f"{where}: no such item; known: {known}, or * for all")
        kind = typing.get_args(place.type)[0]
        for index in indices:
            yield from _walk(Place((*place.path, index), kind), items[index], rest, problems)
    else:
        problems.append(f"{where}: {'.'.join(map(str, place.path))} is a value without keys")


def _indices(part: str, items: list[Any]) -> list[int]:
    if part == "*":
        return list(range(len(items)))
    if part.isdigit():
        return [int(part)] if int(part) < len(items) else []
    return [i for i, v in enumerate(items) if isinstance(v, Mapping) and v.get("name") == part]


def _dataclass_of(hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next(filter(dataclasses.is_dataclass, options), None)


def read(values: Mapping[str, Any], path: Path) -> Any:
    """The value at a path; None where a part on the way is not given."""
    found: Any = values
    for part in path:
        found = None if found is None else found[part]
    return found


def written(values: Any, path: Path, value: Any) -> Any:
    """A copy of nested values with another one at a path.

    What is not given there stays so where the value is None.

    Raises:
        LookupError: an item of a list that is not there.
    """
    if not path or (values is None and value is None):
        return value
    first, *rest = path
    if isinstance(first, int):
        if values is None or first >= len(values):
            raise LookupError(first)
        return [*values[:first], written(values[first], tuple(rest), value), *values[first + 1 :]]
    inner = (values or {}).get(first)
    return {**(values or {}), first: written(inner, tuple(rest), value)}


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
