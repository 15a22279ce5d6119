"""Files that a command writes: an older file is replaced if it is of the same kind."""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from supernet.cli.options import Once

__all__ = ["output_option"]

_READ = 2**16  # of a document, which says what it is at its top
_DOCUMENT = re.compile(rb"""^[\s{]*["']?format["']?\s*:\s*["']?supernet\.(\w+)""", re.MULTILINE)


def output_option(help_text: str, *kinds: str, **settings: Any) -> Callable[..., Any]:
    """``-o FILE``, refused where a file of another kind is there.

    Args:
        help_text: of the option.
        kinds: what the file may hold: kinds of our documents (``subnet`` for
            ``supernet.subnet``), ``kit``, ``arrays`` or ``csv``.
        settings: of the click option.
    """
    return click.option("-o", "--output", cls=Once, type=_Output(kinds), help=help_text, **settings)


class _Output(click.Path):
    """A path whose file may be replaced."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; nothing is written yet."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.is_file() and path.stat().st_size:
            found = _kind(path)
            if found not in self._kinds:
                wanted = " or ".join(map(_words, self._kinds))
                self.fail(
                    f"{path} holds {_words(found)}; only {wanted} is replaced: give another file, "
                    "or remove this one",
                    param,
                    ctx,
                )
        return path


def _words(kind: str) -> str:
    return _OTHERS.get(kind, f"a supernet.{kind}")


_OTHERS = {
    "kit": "a measuring kit",
    "arrays": "arrays",
    "csv": "rows of text with commas",
    "": "something else",
}


def _kind(path: Path) -> str:
    """What a file holds; empty where it is nothing that we write."""
    with path.open("rb") as handle:
        start = handle.read(_READ)
    if found := _DOCUMENT.search(start):
        return found[1].decode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "__main__.py" in names:
            return "kit"
        return "arrays" if all(name.endswith(".npy") for name in names) else ""
    first = start.partition(b"\n")[0].lstrip()
    return "csv" if b"," in first and b"\0" not in start and first[:1] not in b"{[" else ""
