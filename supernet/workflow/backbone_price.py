"""What a backbone takes by a latency table, beside what its file was measured at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, FileFormatError
from supernet.latency import LatencyTable, explain, load_target
from supernet.latency.targets import HERE, is_measured
from supernet.progress import Progress
from supernet.runs import Run
from supernet.space import Operator, SubnetFile
from supernet.workflow.export_latency import checked_space, file_latencies

__all__ = ["BackbonePrice", "measured_files", "price_of", "table_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackbonePrice:
    """A prediction, and the measurement where the table is of this machine.

    It has no interval: tables are checked by whole networks, and backbones are off by more.
    """

    target: str
    precision: str
    predicted_ms: float
    measured: int
    """Operators whose time the table measured at this size."""
    interpolated: int
    """Those it measured at other sizes."""
    fitted: int
    """Those its model prices."""
    measured_ms: float | None = None
    """Of the ONNX file, on this machine; None where the table is of another one."""
    beside_known: bool = True
    """Whether it was timed beside networks by which the table was checked."""

    @property
    def off(self) -> float | None:
        """By how many percent the measurement is above the prediction."""
        if self.measured_ms is None:
            return None
        return 100 * (self.measured_ms / self.predicted_ms - 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "off": self.off}


def table_for(file: SubnetFile, run: Run) -> LatencyTable | None:
    """The table that a subnet was chosen by; else that of this machine, if there is one."""
    target = file.predicted.get("target")
    try:
        if isinstance(target, str):
            return load_target(target)
        here = next(iter(HERE))
        return load_target(here) if is_measured(run.space(), here) else None
    except (ConfigError, FileFormatError):  # of a table that is gone
        return None


def price_of(
    table: LatencyTable, file: SubnetFile, operators: Sequence[Operator]
) -> BackbonePrice | None:
    """The predicted latency of a backbone, from its operators; None where some are not known.

    Args:
        table: of the target.
        file: of the subnet.
        operators: of the backbone, at the size of its images.
    """
    if any(table.origin(operator) is None for operator in operators):
        return None
    found = explain(table, file.subnet, operators, whole=False)
    return BackbonePrice(
        target=table.target,
        precision=table.precision,
        predicted_ms=found.ms,
        measured=found.count("measured"),
        interpolated=found.count("interpolated"),
        fitted=found.count("fitted"),
    )


def measured_files(
    paths: Sequence[Path], table: LatencyTable | None, run: Run, progress: Progress
) -> dict[Path, float]:
    """Milliseconds of files, beside networks that the table of this machine was checked by."""
    return file_latencies(paths, table, checked_space(run, table), progress)
