"""Search spaces from YAML: the shipped presets and the user's own files."""

from dataclasses import asdict
from pathlib import Path

from supernet.errors import ConfigError
from supernet.files import read_as, write_document
from supernet.presets import list_presets, load_preset
from supernet.space.spec import Space

__all__ = ["at_width", "list_spaces", "load_space", "save_space"]

_VERSION = 1
_PRESETS = "supernet.space.presets"


def list_spaces() -> list[str]:
    """Names of the shipped spaces."""
    return list_presets(_PRESETS)


def load_space(name: str | Path) -> Space:
    """A shipped space by its name, or your own from a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that breaks rules: all problems
            at once, each with its key path.
        FileFormatError: not a search space file.
    """
    return load_preset(
        name,
        lambda path: read_as(Space, path, "space", _VERSION),
        package=_PRESETS,
        kind="space",
        hint="list them with `supernet spaces`",
    )


def save_space(space: Space, path: Path) -> None:
    """Write a space as YAML, with every default written out."""
    write_document(path, "space", _VERSION, asdict(space))


_OWN_WIDTHS = {"mobilenet_v3": 1.0, "proxyless": 1.3, "resnet50": 1.0}
"""Width multipliers of the presets whose names do not say theirs."""


def at_width(name: str, width: float | None) -> Space:
    """A shipped space at a width multiplier, such as ``mobilenet_v3`` at 1.2.

    Args:
        name: as for `load_space`.
        width: the multiplier; that of the preset when None.

    Raises:
        ConfigError: no such space, or not at this width.
    """
    if width is None or name.endswith(f"_w{width}"):
        return load_space(name)
    start = f"{name}_w"
    known = {float(n.removeprefix(start)): n for n in list_spaces() if n.startswith(start)}
    if name in _OWN_WIDTHS:
        known[_OWN_WIDTHS[name]] = name
    if width in known:
        return load_space(known[width])
    load_space(name)  # the name itself may be the mistake
    widths = ", ".join(map(str, sorted(known))) or "none"
    raise ConfigError(f"space {name!r} has no width {width}; known: {widths}")
