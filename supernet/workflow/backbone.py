"""From a ``subnet.json`` to a folder with its backbone, for detection and segmentation."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.export.backbone_card import BackboneCard
from supernet.files import write_document
from supernet.latency import LatencyTable
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import SubnetFile, check_operators, total_macs, total_params
from supernet.workflow.backbone_job import BackboneJob
from supernet.workflow.backbone_price import (
    BackbonePrice,
    measured_files,
    price_of,
    table_for,
)
from supernet.workflow.backbone_request import (
    BACKBONE_FILE,
    BackboneOutcome,
    BackboneRequest,
    map_exporters,
)
from supernet.workflow.export_folder import (
    Written,
    check_folder,
    onnx_files,
    staged,
    written_files,
)
from supernet.workflow.export_latency import checked_space, is_of_files
from supernet.workflow.exported import ExportRequest
from supernet.workflow.finetune import with_finetuned

__all__ = ["export_backbone"]

_VERSION = 1


def export_backbone(
    path: Path,
    run: Run,
    wanted: BackboneRequest,
    request: ExportRequest | None = None,
    *,
    output: Path | None = None,
    progress: Progress = silent,
) -> BackboneOutcome:
    """Extract a subnet's backbone, recalibrate, write, compare with torch, and time it.

    Batch norm statistics are those of the images at the subnet's own input size.

    Args:
        path: of the ``subnet.json``.
        run: holds its weights.
        wanted: maps and sizes.
        request: formats and options of the files.
        output: folder; one in the run's ``export/`` when not given.
        progress: told about each step.

    Raises:
        ConfigError: no such map, an option that maps do not have, or a format without maps.
        ExportError: a runtime and torch disagree; nothing is written.
        KeyboardInterrupt: files that were finished before it are kept, in a whole folder.
    """
    request = request or ExportRequest()
    exporters = map_exporters(request)
    folder = output or run.exports / f"{path.stem}_features"
    check_folder(folder, BACKBONE_FILE, exporters)
    found = file = SubnetFile.load(path)
    check_operators(run.space(), file)
    wanted.check(file)
    given = run
    if request.finetuned:
        run, file = with_finetuned(run, file)
    job = BackboneJob(run.evaluator(data=request.data, progress=progress), file, wanted, request)
    told = _told(file, job, wanted, run.checkpoint(folder))
    kept, stale = _earlier(folder, told)
    with staged(folder, stale) as stage:
        written = job.all_written(stage, exporters, progress)
        table = table_for(found, run)  # a finetuned one tells no predictions
        price = _timed(stage, written, table, job, found, run, progress)
        files = {**kept, **written.files}
        card = BackboneCard(
            subnet=file.subnet,
            operators=job.operators,
            maps=job.maps,
            preprocessing=job.preprocessing,
            any_size=wanted.any_size,
            files=files,
            price=price.as_dict() if price else None,
        )
        job.hand_over(stage, card, onnx_files(stage, folder, files))
        body = {**told, **_document(job, card)}
        write_document(stage / BACKBONE_FILE, "backbone", _VERSION, body)
    if written.interrupted:
        raise KeyboardInterrupt
    return BackboneOutcome(
        folder=folder,
        files=files,
        maps=tuple(job.maps),
        size=job.size,
        macs=total_macs(job.operators),
        price=price,
        unpriced=table.target if table is not None and price is None else "",
        failed=written.failed,
        finetuned=file.finetuned if run is not given else None,
    )


def _timed(
    stage: Path,
    written: Written[Any],
    table: LatencyTable | None,
    job: BackboneJob,
    file: SubnetFile,
    run: Run,
    progress: Progress,
) -> BackbonePrice | None:
    """Put latencies of the files into their facts; the prediction beside the ONNX file's.

    Nothing of an export that was interrupted: it ends at once.
    """
    if written.interrupted:
        return None
    files = written.files
    here = table if table is not None and is_of_files(table) else None
    for path, ms in measured_files([stage / name for name in files], here, run, progress).items():
        files[path.name]["latency_ms"] = ms
    price = price_of(table, file, job.operators) if table is not None else None
    onnx_ms = [facts["latency_ms"] for facts in files.values() if facts["format"] == "onnx"]
    if price is None or here is None or here.precision != "fp32" or not onnx_ms:
        return price
    beside = checked_space(run, here) is not None
    return replace(price, measured_ms=onnx_ms[0], beside_known=beside)


def _told(
    file: SubnetFile, job: BackboneJob, wanted: BackboneRequest, checkpoint: dict[str, str]
) -> dict[str, Any]:
    """What ``backbone.json`` says of a backbone, whatever files there are of it."""
    return {
        "space": {"name": file.subnet.space, "hash": file.subnet.space_hash},
        "subnet": str(file.subnet),
        "key": file.subnet.key,
        "checkpoint": checkpoint,
        "size": list(job.size),
        "any_size": wanted.any_size,
        "pixels": job.preprocessing["pixels"],
        "data": job.data,
        "features": job.maps,
    }


def _document(job: BackboneJob, card: BackboneCard) -> dict[str, Any]:
    """The rest of it."""
    return {
        "macs": total_macs(job.operators),
        "params": total_params(job.operators),
        "latency": card.price,
        "files": dict(card.files),
        "operators": [operator.as_dict() for operator in job.operators],
    }


def _earlier(folder: Path, told: dict[str, Any]) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Facts of files of the same backbone, by name, which stay; and what a new export replaces."""
    try:
        known = json.loads((folder / BACKBONE_FILE).read_text(encoding="utf-8"))
        files: dict[str, Any] = dict(known["files"])
        known = {"pixels": False, "data": told["data"], **known}  # as those are that do not tell
    except (OSError, ValueError, KeyError, TypeError):
        return {}, ()
    same = json.loads(json.dumps(told))
    if {key: known.get(key) for key in same} == same:
        kept = {
            name: facts
            for name, facts in files.items()
            if _is_whole(name, facts) and (folder / name).is_file()
        }
        return kept, written_files(folder, files.keys() - kept.keys())
    return {}, written_files(folder, files)


def _is_whole(name: str, facts: Any) -> bool:
    """Whether facts of a file are those that a card is made of; older versions told fewer."""
    wanted = {"bytes": int, "images": int, "notes": list, "maps": dict}
    wanted |= {"lowest_onnxruntime": str} if name.endswith(".onnx") else {}
    if not isinstance(facts, dict) or not facts.get("maps"):
        return False
    if not isinstance(facts.get("latency_ms"), float | None):
        return False
    return all(isinstance(facts.get(key), kind) for key, kind in wanted.items())
