"""Search spaces from YAML: the shipped presets and the user's own files."""

from dataclasses import asdict
from importlib import resources
from pathlib import Path

from supernet.errors import ConfigError
from supernet.files import nearest, read_as, write_document
from supernet.space.spec import Space

__all__ = ["list_spaces", "load_space", "save_space"]

_VERSION = 1


def list_spaces() -> list[str]:
    """Names of the shipped spaces."""
    files = resources.files("supernet.space.presets").iterdir()
    return sorted(file.name[:-5] for file in files if file.name.endswith(".yaml"))


def load_space(name: str | Path) -> Space:
    """A shipped space by its name, or your own from a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that breaks rules: all problems
            at once, each with its key path.
        FileFormatError: not a search space file.
    """
    if isinstance(name, Path) or str(name).endswith((".yaml", ".yml")):
        return read_as(Space, Path(name), "space", _VERSION)
    if name not in list_spaces():
        raise ConfigError(
            f"unknown space {name!r}; {nearest(name, list_spaces())}",
            hint="list them with `supernet spaces`, or give the path of a YAML file",
        )
    with resources.as_file(resources.files("supernet.space.presets") / f"{name}.yaml") as path:
        return read_as(Space, path, "space", _VERSION)


def save_space(space: Space, path: Path) -> None:
    """Write a space as YAML, with every default written out."""
    write_document(path, "space", _VERSION, asdict(space))
