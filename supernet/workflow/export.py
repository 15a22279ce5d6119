"""From a ``subnet.json`` to a folder of files that were seen working."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from supernet.errors import ConfigError, ExportError
from supernet.evaluate import Evaluator
from supernet.export import Exporter, Sample, Source, verify
from supernet.export.card import Card, model_card
from supernet.export.contract import Precision
from supernet.export.handover import (
    SAMPLES,
    write_labels,
    write_predict_script,
    write_samples,
)
from supernet.export.pixels import Deployed, pixels_of
from supernet.files import write_text
from supernet.latency import LatencyTable
from supernet.progress import Progress, silent
from supernet.runs import Run, find_run
from supernet.space import Space, SubnetFile, check_operators
from supernet.workflow.export_folder import SUBNET_FILE, Earlier, check_folder, staged
from supernet.workflow.export_latency import (
    LatencyCheck,
    check_latency,
    file_latencies,
    table_of_prediction,
)
from supernet.workflow.exported import ExportedFile, ExportOutcome, ExportRequest
from supernet.workflow.finetune import finetuned_file

__all__ = ["export_subnet", "find_subnet"]

_CHECKED = 1_000  # test images that other formats than ONNX are checked on


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
    request: ExportRequest | None = None,
    *,
    output: Path | None = None,
    progress: Progress = silent,
) -> ExportOutcome:
    """Extract, recalibrate, write, run against torch on the test images, and time.

    Args:
        path: of the ``subnet.json``.
        run: holds its weights.
        request: what to write, an ONNX file when not given.
        output: folder; one in the run's ``export/`` when not given.
        progress: told about each step.

    Raises:
        ConfigError: the subnet is of another space, or was edited.
        ExportError: a runtime and torch disagree; nothing is written.
    """
    request = request or ExportRequest()
    wanted = request.exporters()
    folder = output or run.exports / path.stem
    check_folder(folder)
    file, space = SubnetFile.load(path), run.space()
    check_operators(space, file)
    better = finetuned_file(run, file) if request.finetuned else None
    if better is not None:
        return export_subnet(
            better,
            Run(better.parent),
            replace(request, finetuned=False),
            output=folder,
            progress=progress,
        )
    evaluator = run.evaluator(data=request.data, progress=progress)
    progress(0, 1, "statistics of the subnet")
    job = _Job(evaluator, file, request)
    checkpoint = run.checkpoint(folder)
    earlier = Earlier.of(folder, file, checkpoint["sha256"])
    with staged(folder, earlier.stale) as stage:
        files, failed = job.all_written(stage, wanted, progress)
        table = table_of_prediction(file)
        files = _timed(files, table, _checked_space(run, table), progress)
        latency = _checked(files, file, table)
        measured = _measured(file, files, earlier.kept)
        replace(measured, checkpoint=checkpoint).save(stage / SUBNET_FILE)
        job.hand_over(stage, files, measured, latency)
    return ExportOutcome(
        folder=folder,
        files=tuple(replace(made, path=folder / made.path.name) for made in files),
        latency=latency,
        failed=failed,
        weights_changed=(file.checkpoint or {}).get("sha256") != checkpoint["sha256"],
        finetuned="finetuned_from" in file.measured,
    )


class _Job:
    """One network to export.

    Args:
        evaluator: with its weights and images.
        file: of the subnet.
        request: what to write.
    """

    def __init__(self, evaluator: Evaluator, file: SubnetFile, request: ExportRequest) -> None:
        self._evaluator, self._file, self._request = evaluator, file, request
        self._dataset = evaluator.dataset
        self._plain = evaluator.network(file.subnet).cpu()
        views = self._dataset.views
        self.preprocessing: dict[str, Any] = {
            "classes": list(self._dataset.classes),
            "mean": list(views.mean),
            "std": list(views.std),
            "frame": views.frame,
            "pixels": request.pixels,
            "output": "probabilities" if request.probabilities else "logits",
        }
        self._network: nn.Module = self._plain
        if request.pixels or request.probabilities:
            self._network = Deployed(
                self._plain,
                views.mean,
                views.std,
                pixels=request.pixels,
                probabilities=request.probabilities,
            ).eval()

    def all_written(
        self, folder: Path, wanted: list[tuple[Exporter, Precision]], progress: Progress
    ) -> tuple[list[ExportedFile], dict[str, str]]:
        """Every file that could be written, and why the others could not, by their names.

        Raises:
            ExportError: the first one could not, or a disk is full.
        """
        files: list[ExportedFile] = []
        failed: dict[str, str] = {}
        for made, precision in wanted:
            before = _files_in(folder)
            try:
                files.append(self.written(folder, made, precision, progress))
            except ExportError as error:
                if not files:
                    raise
                name = _file_name(made, precision)
                failed[name] = str(error)
                for part in _files_in(folder) - before:
                    part.unlink()
        return files, failed

    def written(
        self, folder: Path, made: Exporter, precision: Precision, progress: Progress
    ) -> ExportedFile:
        """Write one file, open it and compare it with torch.

        Raises:
            ExportError: an fp32 file computes something else than torch.
        """
        path = folder / _file_name(made, precision)
        progress(0, 1, f"writing {path.name}")
        before = _files_in(folder)
        written = made.write(self._source(precision), path, precision, progress)
        size = sum(part.stat().st_size for part in _files_in(folder) - before)
        file = ExportedFile(
            path=path,
            format=made.name,
            precision=precision,
            size_bytes=size,
            notes=written.notes,
            facts=written.facts,
        )
        if not made.runs_here:
            note = f"{path.name} was converted, and not run"
            return replace(file, notes=(*file.notes, note))
        progress(0, 1, f"checking {path.name} against torch")
        try:
            opened = made.open(path, threads=0 if made.name == "onnx" else 1)
            found = verify(opened, self._network, self._sample("test", made.name != "onnx"))
        except Exception as error:  # runtimes raise anything, for an operator that they lack
            last = " ".join(str(error).split())[-300:]
            raise ExportError(f"{path.name}: {made.title} does not run it: {last}") from error
        if precision == "fp32" and not found.max_abs_diff <= made.tolerance:
            raise ExportError(
                f"{path.name}: {opened.runtime} and torch differ by {found.max_abs_diff:.2g} in a "
                f"logit, more than {made.tolerance:g}; nothing was written",
                hint="please report it with the subnet.json",
            )
        return replace(
            file, runtime=opened.runtime, verification=found, operators=opened.operators()
        )

    def hand_over(
        self,
        folder: Path,
        files: list[ExportedFile],
        measured: SubnetFile,
        latency: LatencyCheck | None,
    ) -> None:
        """What makes the folder one for strangers: labels, a script, samples, the card."""
        classes = self._dataset.classes
        write_labels(folder, classes)
        models = [made.path for made in files if made.format == "onnx"]
        if models:
            write_predict_script(folder)
            chosen = self._dataset.test.take(slice(0, None, max(1, len(self._dataset.test) // 2)))
            labels = [classes[label] for label in chosen.labels[:SAMPLES]]
            write_samples(folder, models, chosen.pixels(slice(0, SAMPLES)), labels)
        card = Card(
            file=measured,
            network=self._plain,
            preprocessing=self.preprocessing,
            files=measured.measured["files"],
            latency=asdict(latency) | {"within": latency.within} if latency else None,
        )
        write_text(folder / "README.md", model_card(card))

    def _source(self, precision: Precision) -> Source:
        subnet, request = self._file.subnet, self._request
        int8 = precision == "int8"
        return Source(
            network=self._network,
            in_channels=self._dataset.in_channels,
            resolution=subnet.resolution,
            preprocessing=self.preprocessing,
            calibration=self._sample("calibration").batches if int8 else (),
            holdout=self._sample("holdout") if int8 else None,
            dynamic_batch=request.dynamic_batch,
            opset=request.opset,
            most_lost=request.most_lost,
            pixels=request.pixels,
        )

    def _sample(self, split: Any, some: bool = False) -> Sample:
        """Images of a split as the files read them; `some` of them, always the same."""
        evaluator, resolution = self._evaluator, self._file.subnet.resolution
        count = _CHECKED if some else 0
        batches = evaluator.views(split, resolution, count)
        labels = evaluator.images(split, count).labels
        if self._request.pixels:
            views = self._dataset.views
            batches = [pixels_of(batch, views.mean, views.std) for batch in batches]
        return Sample(batches=batches, labels=labels)


def _file_name(made: Exporter, precision: Precision) -> str:
    return f"{'model_int8' if precision == 'int8' else 'model'}{made.suffix}"


def _files_in(folder: Path) -> set[Path]:
    """All files below a folder: a format may write several."""
    return {path for path in folder.rglob("*") if path.is_file()}


def _timed(
    files: list[ExportedFile],
    table: LatencyTable | None,
    space: Space | None,
    progress: Progress,
) -> list[ExportedFile]:
    here = [made.path for made in files if made.runtime]
    ms = file_latencies(here, table, space, progress)
    return [replace(made, latency_ms=ms.get(made.path)) for made in files]


def _checked_space(run: Run, table: LatencyTable | None) -> Space | None:
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


def _checked(
    files: list[ExportedFile], file: SubnetFile, table: LatencyTable | None
) -> LatencyCheck | None:
    if table is None:
        return None
    ms = {
        made.precision: made.latency_ms
        for made in files
        if made.format == "onnx" and made.latency_ms is not None
    }
    return check_latency(file, table, ms)


def _measured(file: SubnetFile, files: list[ExportedFile], kept: Mapping[str, Any]) -> SubnetFile:
    """The subnet with what was measured of its files; the first one's figures stand on top."""
    first = files[0]
    top: dict[str, Any] = {}
    if first.verification:
        top = {
            "top1": first.verification.top1,
            "max_abs_diff": first.verification.max_abs_diff,
            "latency_ms": first.latency_ms,
        }
    known = dict(kept) | {made.path.name: made.as_dict() for made in files}
    return file.with_measured(**top, files=known)
