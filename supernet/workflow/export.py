"""From a ``subnet.json`` to an ONNX file that was seen working."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, SupernetError
from supernet.evaluate import Evaluator
from supernet.export import Sample, Verification, model_card, to_onnx, verify
from supernet.export.formats.onnx import open_onnx
from supernet.files import write_text
from supernet.latency import Protocol, measure
from supernet.models import Network
from supernet.progress import Progress, silent
from supernet.runs import Run, RunConfig, find_run
from supernet.space import SubnetFile, check_operators

__all__ = ["ExportOutcome", "export_subnet", "find_subnet"]

TOLERANCE = 1e-4
"""Largest difference of logits between ONNX Runtime and torch that is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """An exported subnet and what was measured of it."""

    onnx: Path
    subnet: Path
    """A ``subnet.json`` with the measured values."""
    card: Path
    """A page for whoever gets the file."""
    verification: Verification
    latency_ms: float
    """Of the ONNX file on this machine, one thread."""
    size_bytes: int
    weights_changed: bool
    """Whether the supernet was trained on since the subnet was found."""


def find_subnet(path: Path, run: Path | None) -> tuple[Path, Run]:
    """A subnet file and the run it belongs to.

    A bare file name that is not in the working directory is looked for in the
    searches of the run. The run is `run`, else the folder above the file that is
    one, else the newest.

    Raises:
        ConfigError: there is no such file, or no run.
    """
    if not path.is_file():
        where = find_run(run)
        found = sorted(
            where.folder.glob(f"search/*/{path.name}"), key=lambda file: file.stat().st_mtime
        )
        if path.parent != Path() or not found:
            raise ConfigError(
                f"{path}: no such file, and none in the searches of {where.folder}",
                hint="make one with `supernet search`",
            )
        return found[-1], where
    if run is None:
        for parent in path.resolve().parents:
            if (parent / "config.yaml").is_file() and (parent / "space.yaml").is_file():
                return path, Run(parent)
    return path, find_run(run)


def export_subnet(
    path: Path,
    run: Run,
    *,
    output: Path | None = None,
    dynamic_batch: bool = False,
    data: str | None = None,
    progress: Progress = silent,
) -> ExportOutcome:
    """Extract, recalibrate, export, run against torch on the test images, and time.

    Args:
        path: of the ``subnet.json``.
        run: holds its weights.
        output: of the ONNX file; in the run's ``export/`` when not given.
        dynamic_batch: let the batch size of the file vary.
        data: images to recalibrate and check with, where not those of the run.
        progress: told about each step.

    Raises:
        ConfigError: the subnet is of another space, or was edited.
        SupernetError: ONNX Runtime and torch disagree; the file is removed.
    """
    file, space, config = SubnetFile.load(path), run.space(), run.config()
    subnet = file.subnet
    check_operators(space, file)
    evaluator = run.evaluator(data=data, progress=progress)
    config = replace(config, classes=evaluator.dataset.classes)
    steps = 4
    progress(0, steps, "exporting, statistics of the subnet")
    network = evaluator.network(subnet)
    onnx = output or run.exports / f"{path.stem}.onnx"
    progress(1, steps, "exporting, to ONNX")
    to_onnx(
        network,
        onnx,
        in_channels=space.in_channels,
        resolution=subnet.resolution,
        metadata=_preprocessing(config),
        dynamic_batch=dynamic_batch,
    )
    progress(2, steps, "exporting, check against torch")
    verification = _verified(onnx, network, evaluator, subnet.resolution)
    progress(3, steps, "exporting, time in ONNX Runtime")
    latency_ms = measure([onnx.read_bytes()], Protocol(rounds=20))[0].ms
    measured = file.with_measured(
        top1=verification.top1, latency_ms=latency_ms, max_abs_diff=verification.max_abs_diff
    )
    beside = onnx.with_suffix(".json")
    checkpoint = run.checkpoint(beside.parent)
    replace(measured, checkpoint=checkpoint).save(beside)
    card = onnx.with_suffix(".md")
    write_text(card, model_card(measured, onnx.name, verification, _preprocessing(config)))
    progress(4, steps, "exporting, done")
    return ExportOutcome(
        onnx=onnx,
        subnet=beside,
        card=card,
        verification=verification,
        latency_ms=latency_ms,
        size_bytes=onnx.stat().st_size,
        weights_changed=(file.checkpoint or {}).get("sha256") != checkpoint["sha256"],
    )


def _verified(onnx: Path, network: Network, evaluator: Evaluator, resolution: int) -> Verification:
    """The comparison with torch; a file that fails it is removed, for it must not be shipped."""
    sample = Sample(
        batches=evaluator.views("test", resolution), labels=evaluator.images("test").labels
    )
    found = verify(open_onnx(onnx, threads=0), network, sample)
    if not found.max_abs_diff <= TOLERANCE:
        onnx.unlink()
        raise SupernetError(
            f"{onnx}: ONNX Runtime and torch differ by {found.max_abs_diff:.2g} in a "
            f"logit, more than {TOLERANCE:g}",
            hint="please report it with the subnet.json",
        )
    return found


def _preprocessing(config: RunConfig) -> dict[str, Any]:
    """What must be known to feed the network and to read its output."""
    return {"classes": config.classes, "mean": config.mean, "std": config.std}
