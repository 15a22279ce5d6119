"""From a ``subnet.json`` to a folder of files that were seen working."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError
from supernet.latency import LatencyTable
from supernet.progress import Progress, silent
from supernet.runs import Run, find_run
from supernet.space import Space, SubnetFile, check_operators
from supernet.workflow.export_folder import (
    SUBNET_FILE,
    Earlier,
    check_folder,
    onnx_files,
    staged,
)
from supernet.workflow.export_job import Job
from supernet.workflow.export_latency import (
    LatencyCheck,
    check_latency,
    checked_space,
    file_latencies,
    table_of_prediction,
)
from supernet.workflow.exported import (
    ExportedFile,
    ExportOutcome,
    ExportRequest,
    beside_floats,
)
from supernet.workflow.finetune import finetuned_file

__all__ = ["enclosing_run", "export_subnet", "find_subnet"]


def find_subnet(path: Path, run: Path | None) -> tuple[Path, Run]:
    """A subnet file and the run it belongs to.

    A bare file name that is not in the working directory is looked for in the
    searches of the run. The run is `run`, else the folder above the file that is
    one, else that of the weights which the file names, else the newest.

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
        file = SubnetFile.load(path)
        weights = (file.checkpoint or {}).get("path")
        places = [path, *([path.parent / weights] if weights else [])]
        # a finetuned subnet's own run lies in that of the supernet
        runs = [run for place in places for run in _runs_around(place)]
        same = [one for one in runs if one.space().hash == file.subnet.space_hash]
        if runs:
            return path, (same or runs)[0]
    return path, find_run(run)


def enclosing_run(path: Path) -> Run | None:
    """The run in whose folder a file lies, if it lies in one."""
    return next(iter(_runs_around(path)), None)


def _runs_around(path: Path) -> list[Run]:
    return [
        Run(parent)
        for parent in path.resolve().parents
        if (parent / "config.yaml").is_file() and (parent / "space.yaml").is_file()
    ]


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
        KeyboardInterrupt: files that were finished before it are kept, in a whole folder.
    """
    request = request or ExportRequest()
    wanted = request.exporters()
    folder = output or run.exports / path.stem
    check_folder(folder, exporters=[made for made, _ in wanted], given=path)
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
    job = Job(evaluator, file, request)
    checkpoint = run.checkpoint(folder)
    earlier = Earlier.of(folder, file, checkpoint["sha256"], job.ends)
    with staged(folder, earlier.stale) as stage:
        written = job.all_written(stage, wanted, progress)
        table = table_of_prediction(file)
        files, known = list(written.files.values()), checked_space(run, table)
        if not written.interrupted:
            files = _timed(files, table, known, progress)
        latency = _checked(files, file, table, known)
        measured = _measured(file, files, earlier.kept)
        replace(measured, checkpoint=checkpoint).save(stage / SUBNET_FILE)
        models = onnx_files(stage, folder, measured.measured["files"])
        job.hand_over(stage, models, measured, latency)
    if written.interrupted:
        raise KeyboardInterrupt
    return ExportOutcome(
        folder=folder,
        files=tuple(replace(made, path=folder / made.path.name) for made in files),
        latency=latency,
        failed=written.failed,
        weights_changed=file.is_of_other_weights(checkpoint["sha256"]),
        finetuned=file.finetuned,
    )


def _timed(
    files: list[ExportedFile],
    table: LatencyTable | None,
    space: Space | None,
    progress: Progress,
) -> list[ExportedFile]:
    here = [made.path for made in files if made.runtime]
    ms = file_latencies(here, table, space, progress)
    return beside_floats([replace(made, latency_ms=ms.get(made.path)) for made in files])


def _checked(
    files: list[ExportedFile], file: SubnetFile, table: LatencyTable | None, space: Space | None
) -> LatencyCheck | None:
    if table is None:
        return None
    ms = {
        made.precision: made.latency_ms
        for made in files
        if made.format == "onnx" and made.latency_ms is not None
    }
    return check_latency(file, table, ms, beside_known=space is not None)


def _still_true(facts: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Without what an earlier file gave beside one that was written anew."""
    other = facts.get("beside_float", {}).get("float_file")
    return {key: value for key, value in facts.items() if key != "beside_float" or other not in new}


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
    new = {made.path.name: made.as_dict() for made in files}
    known = {name: _still_true(facts, new) for name, facts in kept.items()} | new
    return file.with_measured(**top, files=known)
