"""Several subnets of one front in one folder that holds their weights once."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from supernet.errors import ConfigError, ExportError
from supernet.export.bundle import SharedWeights
from supernet.export.bundle.card import bundle_card
from supernet.export.factors import factors_of
from supernet.export.formats.onnx import open_onnx
from supernet.export.handover import write_adaptive_script
from supernet.files import write_text
from supernet.progress import Progress, silent
from supernet.runs import Run, find_run
from supernet.search import SavedResult, SearchResult
from supernet.space import SubnetFile, check_operators, total_macs
from supernet.workflow.export import find_subnet
from supernet.workflow.export_folder import SUBNET_FILE, check_folder, staged, written_files
from supernet.workflow.export_job import Job
from supernet.workflow.export_latency import (
    checked_space,
    file_latencies,
    table_of_prediction,
)
from supernet.workflow.exported import ExportedFile, ExportRequest
from supernet.workflow.results import figures_of, find_result, result_places

__all__ = ["BUNDLE_FILE", "BundleOutcome", "Level", "export_bundle", "find_levels"]

BUNDLE_FILE = "bundle.json"
FRONT = "front"
_NAME = re.compile(r"\w[\w.-]*")
_TAKEN = ("bundle", "subnet")  # names of other files of exports
_COMPARED = 64  # images on which a network must give the bits of its own file
_FASTEST = 0.5  # of the latency of the chosen subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A subnet to be bundled."""

    name: str
    file: SubnetFile


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleOutcome:
    """An exported bundle."""

    folder: Path
    levels: Sequence[Mapping[str, Any]]
    """As in ``bundle.json``: what was measured of each network, the fastest first."""
    bytes: int
    """Of all networks and what they share."""
    alone_bytes: int
    """Of all networks as files of their own."""
    weights_changed: bool
    """Whether the supernet was trained on since some of the subnets were found, or they are of
    another one's."""


def find_levels(what: str, run_folder: Path | None) -> tuple[list[Level], Run]:
    """The subnets that a few characters name, and their run.

    Args:
        what: ``front`` for three subnets of the run's newest search; the name or folder of a
            search for three of its own; or files of subnets, with commas between.
        run_folder: the run; that of the subnets when not given.

    Raises:
        ConfigError: no such search or file, or fewer than two subnets.
    """
    if what.endswith(".json") or "," in what:
        return _files(what, run_folder)
    places = result_places(run_folder)
    if what == FRONT:
        run = find_run(run_folder)
        folders = [path for place in places if place.run for path in place.folders()]
        if not folders:
            raise ConfigError(f"{run.folder}: no search in it", hint="run `supernet search`")
        what = str(folders[-1])  # its name alone may lie in other places, too
    saved, found = find_result(what, places)
    if found is None:
        raise ConfigError(
            f"{saved.folder}: belongs to no run, so there are no weights to export",
            hint="search in a run: supernet search --run",
        )
    space, result = saved.result.problem.space, saved.result
    chosen = _spread(saved)
    own = saved.folder / SUBNET_FILE
    checkpoint = SubnetFile.load(own).checkpoint if own.is_file() else None  # then the newest
    levels = []
    for name, index in chosen.items():
        predicted, measured = figures_of(saved, index)
        subnet = result.subnet(index)
        known = {"predicted": predicted, "measured": measured, "checkpoint": checkpoint}
        file = SubnetFile.of(space, subnet, **known)
        levels.append(Level(name=name, file=file))
    return levels, found


def _files(what: str, run_folder: Path | None) -> tuple[list[Level], Run]:
    parts = [part.strip() for part in what.split(",") if part.strip()]
    found = [find_subnet(Path(part), run_folder) for part in parts]
    names = [path.stem for path, _ in found]
    runs = {run.folder.resolve(): run for _, run in found}
    if len(set(names)) < len(names) or len(names) < 2:
        raise ConfigError(f"bundle: must be two or more files of different names, found {what}")
    for path, _ in found:
        if not _NAME.fullmatch(path.stem) or path.stem in _TAKEN or path.stem.endswith("_int8"):
            raise ConfigError(
                "bundle: file names must be of letters, digits, '_', '-', '.', not end in _int8, "
                f"and not be {'.json or '.join(_TAKEN)}.json, found {path.name}",
                hint="copy it under another name, such as fast.json",
            )
    if len(runs) > 1:
        raise ConfigError(
            f"bundle: the subnets are of {len(runs)} runs, and share no weights",
            hint="give those of one run, and --run where they do not lie in it",
        )
    levels = [Level(name=path.stem, file=SubnetFile.load(path)) for path, _ in found]
    return levels, next(iter(runs.values()))


def _spread(saved: SavedResult) -> dict[str, int]:
    """Subnets of a front: the chosen one, one of half its latency, and one between them.

    Where the front begins above half of it, the fastest one is taken; where it has nothing
    between the two, these alone.
    """
    result = saved.result
    name, front, best = _cost(result), result.front, result.problem.axes[0]
    costs = result.columns[name][front]
    quality = result.columns[best.name][front] * (1 if best.maximise else -1)
    most = float(result.columns[name][saved.chosen])
    least = max(float(costs.min()), _FASTEST * most)

    def best_of(some: npt.NDArray[np.bool_]) -> int:
        rows = np.flatnonzero(some)
        return int(rows[np.argmax(quality[rows])])

    fast = best_of(costs <= least)
    if not costs[fast] < most:
        raise ConfigError(
            f"{saved.folder}: its front has one subnet up to the {name} of the chosen one",
            hint="give files with commas between; `supernet results show --pick` writes them",
        )
    found = {"fast": int(front[fast])}
    between = (costs > costs[fast]) & (costs < most)
    if between.any():
        bound = max(float(costs[between].min()), (least * most) ** 0.5)
        found["balanced"] = int(front[best_of(between & (costs <= bound))])
    return {**found, "accurate": saved.chosen}


def _cost(result: SearchResult) -> str:
    """The figure by which subnets of a front are faster: its first latency, else a cost."""
    axes = result.problem.axes
    costs = [axis for axis in axes[1:] if axis.objective and not axis.maximise]
    if not costs:
        raise ConfigError("bundle: the search has no latency or other cost")
    return next((axis.name for axis in costs if axis.target), costs[0].name)


def export_bundle(
    levels: Sequence[Level],
    run: Run,
    request: ExportRequest | None = None,
    *,
    output: Path | None = None,
    progress: Progress = silent,
) -> BundleOutcome:
    """Write subnets as ONNX files that read their weights from one file.

    Each is exported by itself and compared with torch first; then its weights are moved to the
    shared file, and it must give the bits that it gave before.

    Args:
        levels: the subnets.
        run: holds their weights.
        request: options of the graphs; int8 and finetuned weights are not shared.
        output: folder; ``export/bundle`` of the run when not given.
        progress: told about each step.

    Raises:
        ConfigError: a subnet is of another space, or was edited.
        ExportError: a runtime and torch disagree; nothing is written.
    """
    request = request or ExportRequest()
    folder = output or run.exports / "bundle"
    (onnx_files, _), *_ = request.exporters()
    check_folder(folder, BUNDLE_FILE)
    earlier = _earlier(folder)
    _check_names(folder, levels, earlier)
    for level in levels:
        check_operators(run.space(), level.file)
    evaluator = run.evaluator(data=request.data, progress=progress)
    checkpoint = run.checkpoint(folder)
    jobs = {level.name: Job(evaluator, level.file, request) for level in levels}
    with staged(folder, earlier) as stage:
        made = {
            name: job.written(stage, onnx_files, "fp32", progress, stem=name)
            for name, job in jobs.items()
        }
        alone = sum(file.size_bytes for file in made.values())
        shared = _shared(stage, jobs, progress)
        paths = [file.path for file in made.values()]
        table = table_of_prediction(levels[-1].file)
        ms = file_latencies(paths, table, checked_space(run, table), progress)
        found = sorted(
            (_facts(level, made[level.name], ms[made[level.name].path]) for level in levels),
            key=lambda facts: float(facts["latency_ms"]),
        )
        for level in levels:
            own = replace(level.file, checkpoint=checkpoint)
            own.with_measured(**_measured(made[level.name], ms)).save(stage / f"{level.name}.json")
        next(iter(jobs.values())).add_aids(stage, paths)
        write_adaptive_script(stage)
        body = {"format": "supernet.bundle", "version": 1, "weights": shared.name, "levels": found}
        write_text(stage / BUNDLE_FILE, json.dumps(body, indent=1) + "\n")
        write_text(stage / "README.md", bundle_card(found, shared.size, alone))
    return BundleOutcome(
        folder=folder,
        levels=found,
        bytes=shared.size + sum(int(facts["bytes"]) for facts in found),
        alone_bytes=alone,
        weights_changed=any(
            level.file.is_of_other_weights(checkpoint["sha256"]) for level in levels
        ),
    )


def _check_names(folder: Path, levels: Sequence[Level], earlier: Sequence[Path]) -> None:
    """Refuse to replace what no earlier bundle has written, such as the subnet that is given."""
    for level in levels:
        for path in (folder / f"{level.name}.json", folder / f"{level.name}.onnx"):
            if path.exists() and path not in earlier:
                raise ConfigError(
                    f"output: {path} is there already, and of no bundle",
                    hint="give a new folder by -o",
                )


def _shared(stage: Path, jobs: Mapping[str, Job], progress: Progress) -> SharedWeights:
    """Move the weights of files into one that they share.

    Raises:
        ExportError: a file gives other bits than before.
    """
    progress(0, 1, "sharing weights")
    factors = {name: factors_of(job.plain) for name, job in jobs.items()}
    shared = SharedWeights(list(factors.values()))
    shared.write(stage)
    for name, job in jobs.items():
        path = stage / f"{name}.onnx"
        images = [job.sample("test").batches[0][:_COMPARED]]
        before = open_onnx(path).logits(images)
        model = onnx.load(path)
        shared.put_into(model, factors[name])
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(path), full_check=True)
        if not np.array_equal(before, open_onnx(path).logits(images)):
            raise ExportError(
                f"{name}: gives other numbers with shared weights than with its own",
                hint="please report it with the subnet.json",
            )
    return shared


def _facts(level: Level, made: ExportedFile, ms: float) -> dict[str, Any]:
    check = made.verification
    assert check is not None
    return {
        "name": level.name,
        "file": made.path.name,
        "resolution": level.file.subnet.resolution,
        "macs": total_macs(level.file.operators),
        "latency_ms": ms,
        "predicted_ms": level.file.predicted.get("latency_ms"),
        "predicted_for": level.file.predicted.get("target"),
        "top1": check.top1,
        "agreement": check.agreement,
        "images": check.images,
        "bytes": made.path.stat().st_size,
        "lowest_onnxruntime": made.facts["lowest_onnxruntime"],
    }


def _measured(made: ExportedFile, ms: Mapping[Path, float]) -> dict[str, Any]:
    assert made.verification is not None
    return {
        "top1": made.verification.top1,
        "max_abs_diff": made.verification.max_abs_diff,
        "latency_ms": ms[made.path],
    }


def _earlier(folder: Path) -> tuple[Path, ...]:
    """Files of an earlier bundle, which a new one replaces."""
    try:
        levels = json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))["levels"]
        names = [str(level["name"]) for level in levels if _NAME.fullmatch(str(level["name"]))]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    subnets = tuple(folder / f"{name}.json" for name in names if name not in _TAKEN)
    return written_files(folder, [f"{name}.onnx" for name in names]) + subnets
