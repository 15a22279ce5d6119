"""``comparison.json``: networks that were measured beside a search, such as by the demo."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from supernet.files import read_as, write_document
from supernet.report import NetworkRow

__all__ = ["FILE_NAME", "Comparison", "RandomSubnet", "read_comparison", "write_comparison"]

FILE_NAME = "comparison.json"
"""In a run's folder."""

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSubnet:
    """A random subnet that was measured."""

    latency_ms: float
    top1: float
    """Percent."""
    subnet: str
    """The architecture as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was measured beside a search."""

    search: str
    """Name of the search, a folder below ``search/`` of the run."""
    target: str
    """Whose latencies these are."""
    networks: tuple[NetworkRow, ...] = ()
    """The headline table; differences are against its first row."""
    random: tuple[RandomSubnet, ...] = ()
    """Random subnets as a baseline."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Other results as a table."""


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write ``comparison.json`` into a run's folder; its path.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / FILE_NAME
    write_document(path, "comparison", _VERSION, asdict(comparison))
    return path


def read_comparison(folder: Path) -> Comparison | None:
    """The ``comparison.json`` of a run's folder, if there is one.

    Raises:
        FileFormatError: not such a file.
        ConfigError: values that break rules; all problems at once.
    """
    path = folder / FILE_NAME
    return read_as(Comparison, path, "comparison", _VERSION) if path.exists() else None
