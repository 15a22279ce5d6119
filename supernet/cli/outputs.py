"""Files that a command writes: an older file is replaced if it is of the same kind."""

import os
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from supernet.cli.options import Once
from supernet.errors import ConfigError

__all__ = ["check_replaced", "output_option"]

_READ = 2**16  # bytes, of which a document says at the top what it is
_DOCUMENT = re.compile(
    rb"(?:[ \t]*(?:\#[^\n]*)?\r?\n)*[{\s]{0,16}"  # comments come first
    rb"""["']?format["']?\s{0,8}:\s{0,8}["']?supernet\.(\w+)"""
)


def output_option(
    help_text: str, *kinds: str, suffixes: Sequence[str] = (), **settings: Any
) -> Callable[..., Any]:
    """``-o FILE``, refused where a file of another kind is there.

    Args:
        help_text: of the option.
        kinds: what the file may hold: kinds of our documents (``subnet`` for
            ``supernet.subnet``), ``kit``, ``arrays`` or ``predictions``.
        suffixes: how its name must end, where other commands know it by that; any when empty.
        settings: of the click option.
    """
    kind = _Output(kinds, tuple(suffixes))
    return click.option("-o", "--output", cls=Once, type=kind, help=help_text, **settings)


def check_replaced(path: Path, kinds: Sequence[str]) -> None:
    """Refuse a path where a file of another kind is.

    Args:
        path: to be written.
        kinds: as of `output_option`.

    Raises:
        ConfigError: there is one.
    """
    try:
        there = path.is_file() and path.stat().st_size > 0
        found = _kind(path) if there else kinds[0]
    except OSError as error:
        raise ConfigError(f"output: {str(path)[:200]}: {error.strerror}") from None
    if found not in kinds:
        wanted = " or ".join(map(_words, kinds))
        raise ConfigError(
            f"output: {path} holds {_words(found)}, and -o replaces only {wanted}",
            hint="give another file, or remove this one",
        )


class _Output(click.Path):
    """A path whose file may be replaced."""

    def __init__(self, kinds: tuple[str, ...], suffixes: tuple[str, ...]) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._kinds, self._suffixes = kinds, suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; nothing is written yet."""
        if not os.fspath(value):
            self.fail("must be a file, found an empty text", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        check_replaced(path, self._kinds)
        if self._suffixes and path.suffix not in self._suffixes:
            raise ConfigError(
                f"output: {str(path)[:200]} must end in {' or '.join(self._suffixes)}: by that "
                "other commands tell a file from a name",
                hint=f"give {str(path.with_suffix(self._suffixes[0]))[:200]}",
            )
        return path


def _words(kind: str) -> str:
    return _OTHERS.get(kind, f"a supernet.{kind}")


_OTHERS = {
    "kit": "a measuring kit",
    "arrays": "arrays of subnets",
    "predictions": "predictions",
    "": "something else",
}


def _kind(path: Path) -> str:
    """What a file holds; empty where it is nothing that we write."""
    with path.open("rb") as handle:
        start = handle.read(_READ)
    if found := _DOCUMENT.match(start):
        return found[1].decode(errors="replace")
    names = _archived(path)
    if "supernet/latency/kit/plan.json" in names:
        return "kit"
    if {"genes.npy", "top1.npy"} <= names:
        return "arrays"
    header = start.partition(b"\n")[0].rstrip().split(b",")
    return "predictions" if b"predicted" in header else ""


def _archived(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):  # no archive, or a damaged one
        return set()
