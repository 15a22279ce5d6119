"""What a backbone is asked for, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.export import Exporter
from supernet.export.registry import FORMATS
from supernet.space import SubnetFile, check_size, chosen_maps, feature_maps
from supernet.workflow.backbone_price import BackbonePrice
from supernet.workflow.exported import ExportRequest

__all__ = ["BACKBONE_FILE", "BackboneOutcome", "BackboneRequest", "map_exporters"]

BACKBONE_FILE = "backbone.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneRequest:
    """Which maps of a subnet are wanted, and for which images."""

    features: tuple[int, ...]
    """Strides of the maps."""
    size: tuple[int, int] | None = None
    """Rows and columns of an image; the subnet's own input size when not given."""
    any_size: bool = False
    """Let rows and columns of the file vary, in multiples of the last stride."""

    def check(self, file: SubnetFile) -> None:
        """Refuse what the subnet of a file does not have, before anything is made.

        Raises:
            ConfigError: no such map, or a size that does not do.
        """
        chosen = chosen_maps(feature_maps(file.subnet, file.operators), self.features)
        self.image_size(file.subnet.resolution, chosen[-1].stride)

    def image_size(self, resolution: int, last: int) -> tuple[int, int]:
        """Rows and columns of an image.

        Args:
            resolution: of the subnet.
            last: stride of the last map.

        Raises:
            ConfigError: smaller than that stride, too large, or no multiple where sizes vary.
        """
        size = self.size or (resolution, resolution)
        check_size(size, last)
        text = "x".join(map(str, size))
        if self.any_size and any(side % last for side in size):
            up = "x".join(str(-(-side // last) * last) for side in size)
            raise ConfigError(
                f"any_size: sizes vary in multiples of {last}, the last stride, found {text}",
                hint=f"give --size {up}",
            )
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneOutcome:
    """An exported backbone."""

    folder: Path
    files: Mapping[str, Mapping[str, Any]]
    """What was measured of each file, by name."""
    maps: tuple[Mapping[str, Any], ...]
    """Of each output: ``name``, ``stride``, ``channels``, ``place``, ``height``, ``width``."""
    size: tuple[int, int]
    macs: int
    price: BackbonePrice | None
    """None where no latency table knows all operators."""
    unpriced: str = ""
    """The table that was asked and does not know them, where there is one."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why files could not be written, by their names."""
    finetuned: tuple[float, float] | None = None
    """As of `ExportOutcome`."""

    @property
    def card(self) -> Path:
        """A page for whoever gets the folder."""
        return self.folder / "README.md"


def map_exporters(request: ExportRequest) -> list[Exporter]:
    """The formats of a request, all of which can write maps.

    Raises:
        ConfigError: an option that maps do not have, or a format without maps; names those with.
        MissingPackageError: a package is missing; names the extra.
    """
    if request.int8:
        raise ConfigError(
            "int8: is not for backbones: how far maps may be rounded depends on what reads them",
            hint="quantise it together with its head",
        )
    if request.probabilities:
        raise ConfigError("probabilities: a backbone gives maps, which are none")
    without = [name for name in request.formats if not FORMATS[name].load().takes_maps]
    if without:
        able = [f"--{name}" for name, info in FORMATS.items() if info.load().takes_maps]
        raise ConfigError(
            f"features: files of several outputs are not written as {', '.join(without)}",
            hint=f"maps are written by {', '.join(able)}",
        )
    return [made for made, _ in request.exporters()]
