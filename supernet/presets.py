"""Documents that come with the library, by name, and the user's own, by path."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeVar

from supernet.errors import ConfigError
from supernet.files import nearest

__all__ = ["list_presets", "load_preset"]

T = TypeVar("T")


def list_presets(package: str, suffix: str = ".yaml") -> list[str]:
    """Names of the documents in a package, without their suffix."""
    files = resources.files(package).iterdir()
    return sorted(f.name.removesuffix(suffix) for f in files if f.name.endswith(suffix))


def load_preset(
    name: str | Path, read: Callable[[Path], T], *, package: str, kind: str, hint: str
) -> T:
    """What `read` makes of a YAML file: one of `package` by its name, or any by its path.

    Args:
        name: a `Path`, or what ends like a YAML file, is a path.
        read: opens the file.
        package: holds the shipped ones.
        kind: what they are, in a word for the message.
        hint: where names are listed.

    Raises:
        ConfigError: an unknown name.
    """
    if isinstance(name, Path) or name.endswith((".yaml", ".yml")):
        return read(Path(name))
    known = list_presets(package)
    if name not in known:
        raise ConfigError(
            f"unknown {kind} {name!r}; {nearest(name, known)}",
            hint=f"{hint}, or give the path of a YAML file",
        )
    with resources.as_file(resources.files(package) / f"{name}.yaml") as path:
        return read(path)
