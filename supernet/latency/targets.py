"""Targets by name: shipped tables, your own, and the machine this runs on."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from supernet.errors import ConfigError, FileFormatError
from supernet.files import nearest
from supernet.latency.build import is_same_device
from supernet.latency.measuring import HERE, build_table, describe_device
from supernet.latency.results import KitResult
from supernet.latency.table import LatencyTable
from supernet.latency.words import device_words
from supernet.locks import alone
from supernet.places import user_folder
from supernet.presets import list_presets
from supernet.progress import Progress, silent
from supernet.space import Precision, Space

__all__ = [
    "HERE",
    "THIS_MACHINE",
    "check_not_shipped",
    "check_own",
    "check_same_device",
    "kept_rows",
    "list_targets",
    "load_target",
    "own_tables",
    "shipped_targets",
    "store_table",
    "this_machine",
]

THIS_MACHINE = "this_machine"


def own_tables() -> Path:
    """Folder of this user's tables."""
    return user_folder() / "latency_tables"


def shipped_targets() -> list[str]:
    """Names of the tables that come with the library."""
    return list_presets("supernet.latency_tables", ".json")


def list_targets() -> list[str]:
    """Names of all targets: shipped, own, and the two of this machine, which build themselves."""
    names = set(shipped_targets())
    names |= {path.stem for path in own_tables().glob("*.json")}
    return sorted(names | set(HERE))


def load_target(name: str) -> LatencyTable:
    """The table of a target, or of a JSON file.

    Raises:
        ConfigError: an unknown name.
        FileFormatError: a damaged table, or one not measured yet.
    """
    if name.endswith(".json"):
        return LatencyTable.load(Path(name))
    if name not in list_targets():
        raise ConfigError(
            f"unknown target {name!r}; {nearest(name, list_targets())}",
            hint="list them with `supernet targets`, or give the path of a table (.json)",
        )
    own = own_tables() / f"{name}.json"
    if own.exists() or name in HERE:
        return LatencyTable.load(own)
    with resources.as_file(resources.files("supernet.latency_tables") / f"{name}.json") as path:
        return LatencyTable.load(path)


def check_own(name: str) -> None:
    """Refuse what cannot be the name of a table of your own.

    Raises:
        ConfigError: it is no file name, one that says where a table lies, or that of a shipped
            target.
    """
    if name.endswith(".json"):  # by which a target is the path of a table
        raise ConfigError(
            f"name: {name[:120]!r} is that of a file, not of a target",
            hint=f"give --name {name.removesuffix('.json')[:120]}",
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII):
        raise ConfigError(
            f"name: {name[:120]!r} is not made of letters, digits, '_', '-' and '.'",
            hint="give another with --name",
        )
    check_not_shipped(name)


def check_not_shipped(name: str) -> None:
    """Refuse the name of a shipped target, which a table of your own would hide.

    Raises:
        ConfigError: it is one.
    """
    if name in shipped_targets():
        raise ConfigError(f"name: {name!r} is a shipped target", hint="give another --name")


def check_same_device(table: LatencyTable) -> None:
    """Refuse to replace your own table of another device that has the same name.

    Raises:
        ConfigError: there is one.
    """
    try:
        known = LatencyTable.load(own_tables() / f"{table.target}.json")
    except FileFormatError:  # none that anybody can use
        return
    before, now = device_words(known.device), device_words(table.device)
    if before != now:
        raise ConfigError(
            f"name: target {table.target!r} is of {before} already, these results are of {now}",
            hint=f"give another name, or --name {table.target} to replace it",
        )


def store_table(table: LatencyTable, path: Path | None = None) -> Path:
    """Save a table among your own targets, or at `path`; where it went.

    Raises:
        ConfigError: a name that is no file name, or that of a shipped target.
    """
    name = table.target
    if path is None:
        check_own(name)
        path = own_tables() / f"{name}.json"
    table.save(path)
    return path


def is_measured(space: Space, target: str = THIS_MACHINE) -> bool:
    """Whether a target of this machine has a whole table for `space` already."""
    return _serves(_kept_here(target), space)


def this_machine(
    space: Space,
    *,
    precision: Precision = "fp32",
    fresh: bool = False,
    progress: Progress = silent,
) -> LatencyTable:
    """The table of this machine for `space`; measured when it is not known yet.

    A kept table is used when it is of this processor and this version of the
    runtime. Operators that it lacks are measured and added; whole networks are
    measured when its error was found on those of another space.

    Args:
        space: must be served.
        precision: of the networks.
        fresh: measure everything again.
        progress: as in `build_table`.
    """
    target = next(name for name, known in HERE.items() if known == precision)
    known = None if fresh else _kept_here(target)
    if known and _serves(known, space):
        return known

    def waiting() -> None:
        progress(0, 1, "waiting for another process that measures this machine")

    with alone(own_tables() / ".this_machine.lock", waiting=waiting):
        return _measured(space, target, fresh, progress)


def _measured(space: Space, target: str, fresh: bool, progress: Progress) -> LatencyTable:
    """The table of this machine, unless another process has made it meanwhile."""
    known = None if fresh else _kept_here(target)
    if known and _serves(known, space):
        return known
    journal = own_tables() / f".{target}.part"  # what an interrupted run had measured
    table = build_table(
        space,
        target=target,
        known=known,
        journal=journal,
        progress=progress,
    )
    table.save(own_tables() / f"{target}.json")
    return table


def _serves(table: LatencyTable | None, space: Space) -> bool:
    return (
        table is not None and table.held_out.space_hash == space.hash and not table.missing(space)
    )


def kept_rows(name: str, result: KitResult) -> LatencyTable | None:
    """An own table of this name, if it is of the device and settings of `result`."""
    settings = result.settings
    return _kept(name, result.device, (settings.precision, settings.threads, settings.batch))


def _kept_here(target: str) -> LatencyTable | None:
    """The table of a target of this machine, as it was measured by itself."""
    return _kept(target, describe_device(), (HERE[target], 1, 1))


def _kept(
    name: str, device: Mapping[str, str], settings: tuple[str, int, int]
) -> LatencyTable | None:
    """An own table, unless it is damaged or of another machine, runtime or settings.

    Args:
        name: of the target.
        device: that it must be of.
        settings: precision, threads and batch that it must have.
    """
    try:
        table = LatencyTable.load(own_tables() / f"{name}.json")
    except (FileFormatError, ConfigError):
        return None
    same = (table.precision, table.threads, table.batch) == settings
    return table if same and is_same_device(table.device, device) else None
