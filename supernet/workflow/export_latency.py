"""Times of exported files, and whether they are what was predicted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, FileFormatError
from supernet.export import exporter_of
from supernet.export.contract import Precision
from supernet.latency import (
    LatencyTable,
    Loadable,
    Protocol,
    backend_of,
    load_target,
    measure,
    measure_drift_corrected,
)
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import Space, SubnetFile

__all__ = [
    "LatencyCheck",
    "check_latency",
    "checked_space",
    "file_latencies",
    "is_of_files",
    "table_of_prediction",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCheck:
    """A prediction beside the measurement of the exported file."""

    target: str
    precision: Precision
    predicted_ms: float
    low_ms: float | None
    """Nine in ten networks lie between this and `high_ms`; None where no interval is known."""
    high_ms: float | None
    measured_ms: float
    beside_known: bool = True
    """Whether it was timed beside networks by which the table was checked."""

    @property
    def within(self) -> bool:
        """Whether the measurement lies in the interval."""
        low = self.predicted_ms * 0.9 if self.low_ms is None else self.low_ms
        high = self.predicted_ms * 1.1 if self.high_ms is None else self.high_ms
        return low <= self.measured_ms <= high

    @property
    def off(self) -> float:
        """By how many percent the measurement is above the prediction."""
        return 100 * (self.measured_ms / self.predicted_ms - 1)


def table_of_prediction(file: SubnetFile) -> LatencyTable | None:
    """The table that a subnet's latency was predicted with, if it is one of files here."""
    target = file.predicted.get("target")
    if not isinstance(target, str):
        return None
    try:
        table = load_target(target)
    except (ConfigError, FileFormatError):
        return None
    return table if is_of_files(table) else None


def is_of_files(table: LatencyTable) -> bool:
    """Whether a table tells what files take here: one image on one thread in ONNX Runtime.

    What it says of several threads or images, of a GPU or another runtime is no prediction of
    that, however right it is.
    """
    alike = (table.threads, table.batch, table.device.get("runtime")) == (1, 1, "onnxruntime")
    return alike and not table.device.get("gpu") and backend_of(table) is not None


def checked_space(run: Run, table: LatencyTable | None) -> Space | None:
    """The space by whose networks a table was checked, where it is that of the run.

    A finetuned subnet has a space of its own; its run lies in that of the supernet.
    """
    if table is None:
        return None
    for folder in (run.folder.resolve(), *run.folder.resolve().parents[:2]):
        if (folder / "config.yaml").is_file():
            space = Run(folder).space()
            if space.hash == table.held_out.space_hash:
                return space
    return None


def file_latencies(
    paths: Sequence[Path],
    table: LatencyTable | None,
    space: Space | None,
    progress: Progress = silent,
    *,
    images: Mapping[Path, tuple[int, int, int]] | None = None,
) -> dict[Path, float]:
    """Milliseconds of files on one thread of this machine, batch 1.

    All are timed in turn, beside networks by which the table was checked where there is one: so
    they compare with what it predicts, however fast the machine is at the moment.

    Args:
        paths: of files; their formats run here.
        table: of this machine, or none.
        space: of the networks by which the table was checked.
        progress: told about every visit.
        images: channels, rows, columns of files where these may vary.
    """
    protocol, sizes = Protocol(rounds=20), images or {}
    models = [_loadable(path, sizes.get(path)) for path in paths]
    if table is not None and space is not None and table.threads == 1:
        ms = measure_drift_corrected(table, space, models, protocol, progress=progress).tolist()
    else:
        ms = [timing.ms for timing in measure(models, protocol, progress=progress)]
    return dict(zip(paths, ms))


def check_latency(
    file: SubnetFile,
    table: LatencyTable,
    measured: Mapping[Precision, float],
    *,
    beside_known: bool = True,
) -> LatencyCheck | None:
    """What a subnet's file predicts beside what was measured in the table's precision.

    With the interval of the prediction, which is wider than that of the table's networks where
    the model prices operators, and not known of what is unlike all that was measured. None
    where nothing was predicted, or nothing measured in that precision, or the table is of
    another runtime, of several threads or images: files are timed in ONNX Runtime on one.

    Args:
        file: of the subnet.
        table: that it was predicted by.
        measured: milliseconds by precision.
        beside_known: whether they were timed beside networks by which the table was checked.
    """
    if not is_of_files(table):
        return None
    precision: Precision = "int8" if table.precision == "int8" else "fp32"
    predicted = file.predicted.get("latency_ms")
    if precision not in measured or not isinstance(predicted, float | int) or predicted <= 0:
        return None  # somebody may have edited it
    return LatencyCheck(
        target=table.target,
        precision=precision,
        predicted_ms=predicted,
        low_ms=file.predicted.get("latency_low_ms"),
        high_ms=file.predicted.get("latency_high_ms"),
        measured_ms=measured[precision],
        beside_known=beside_known,
    )


def _loadable(path: Path, image: tuple[int, int, int] | None) -> Loadable:
    return Loadable(load=partial(_runner, path, image), size=path.stat().st_size)


def _runner(path: Path, image: tuple[int, int, int] | None) -> Any:
    return exporter_of(path).open(path).runner(image)
