"""The whole loop on the embedded images, in minutes on two CPU cores."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from supernet.latency import build_onnx, measure_drift_corrected
from supernet.latency.targets import THIS_MACHINE
from supernet.progress import Progress, silent
from supernet.report import NetworkRow
from supernet.runs import Run
from supernet.search import latency_name
from supernet.space import (
    Domain,
    Genes,
    Space,
    Subnet,
    decode,
    largest_subnet,
    load_space,
    macs_of,
    operators,
    params_of,
    total_macs,
    total_params,
    unique,
)
from supernet.train import load_recipe, scaled
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.comparison import Comparison, RandomSubnet, write_comparison
from supernet.workflow.engines import EngineRequest
from supernet.workflow.export import export_subnet
from supernet.workflow.exported import ExportOutcome
from supernet.workflow.report import report_run
from supernet.workflow.request import SearchRequest
from supernet.workflow.search import search_run
from supernet.workflow.search_outcome import SearchOutcome
from supernet.workflow.subnet_files import subnet_file
from supernet.workflow.train import train_supernet

__all__ = ["DemoOutcome", "Measured", "RandomSubnets", "run_demo"]

_FINALISTS = 6  # are measured before the found one is named
_RANDOM = 12  # subnets that the found one is compared with
_SAME = 0.05  # relative difference of latencies that count as the same
_MOST_DRAWS = 100  # of 20,000 random subnets
_LIMIT_SHARE = 0.53  # of the largest subnet's latency; with the error it stays below 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A subnet's exported file, measured on the test images and on this machine."""

    top1: float
    """Percent, of the ONNX file."""
    latency_ms: float
    """Of the ONNX file in ONNX Runtime, one thread."""
    macs: int
    params: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSubnets:
    """Random subnets predicted to be as fast as the found one is, within 5 %."""

    top1: tuple[float, ...]
    """Percent on the test images, recalibrated like the found one."""
    latency_ms: tuple[float, ...]
    """Measured in ONNX Runtime, one thread."""

    @property
    def top1_mean(self) -> float:
        """Mean accuracy in percent."""
        return float(np.mean(self.top1))

    @property
    def top1_std(self) -> float:
        """Standard deviation between subnets, percentage points."""
        return float(np.std(self.top1))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DemoOutcome:
    """Everything that the demo shows."""

    run: Run
    search: SearchOutcome
    export: ExportOutcome
    largest: Measured
    found: Measured
    random: RandomSubnets
    stages_s: Mapping[str, float]
    """Seconds by part of the loop."""
    elapsed_s: float
    report: Path

    def as_json(self) -> dict[str, Any]:
        """Plain values for machines."""
        outcome, table = self.search, self.search.table
        verification = self.export.verification
        validation = outcome.predictor.validation if outcome.predictor else None
        assert validation is not None  # a demo measures its own pairs
        return {
            "elapsed_s": self.elapsed_s,
            "stages_s": dict(self.stages_s),
            "largest": _plain(self.largest),
            "found": _plain(self.found)
            | {
                "predicted_latency_ms": outcome.predicted["latency_ms"],
                "predicted_top1": outcome.predicted["top1"],
                "subnet": str(outcome.subnet),
            },
            "random_same_latency": {
                "top1_mean": self.random.top1_mean,
                "top1_std": self.random.top1_std,
                "latency_ms_mean": float(np.mean(self.random.latency_ms)),
                "count": len(self.random.top1),
            },
            "predictor": {
                "kendall": validation.kendall,
                "rmse": validation.rmse,
                "pairs": len(validation.measured),
                "folds": validation.folds,
            },
            "latency_table": {
                "rows": len(table.rows),
                "networks_held_out": table.held_out.networks,
                "mape": table.held_out.mape,
                "kendall": table.held_out.kendall,
            },
            "onnx": {
                "max_abs_diff": verification.max_abs_diff,
                "top1": verification.top1,
                "torch_top1": verification.torch_top1,
                "bytes": self.export.first.size_bytes,
            },
            "files": {
                "run": str(self.run.folder),
                "subnet": str(outcome.file),
                "onnx": str(self.export.first.path),
                "report": str(self.report),
            },
        }


def _plain(measured: Measured) -> dict[str, Any]:
    return {name: getattr(measured, name) for name in Measured.__slots__}


class _Clock:
    """Seconds by part of the loop."""

    def __init__(self, start: float | None) -> None:
        self.start = self._last = time.perf_counter() if start is None else start
        self.stages: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.stages[name], self._last = now - self._last, now

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.start


def run_demo(
    *,
    folder: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    epochs: float | None = None,
    pairs: int = 120,
    started: float | None = None,
    progress: Progress = silent,
) -> DemoOutcome:
    """Train, measure this machine, fit a predictor, search, export, compare, report.

    Args:
        folder: for the run; a new one below ``runs/`` when not given.
        seed: of everything that is random.
        device: where to train and evaluate.
        epochs: of the training in all; those of the recipe when not given.
        pairs: subnets whose accuracy the predictor learns from.
        started: what `time.perf_counter` said when it all began; now when not given.
        progress: told about all long work.
    """
    clock = _Clock(started)
    space, recipe = load_space("demo"), load_recipe("demo")
    if epochs is not None:
        recipe = scaled(recipe, epochs)
    run = train_supernet(space, recipe, folder=folder, seed=seed, device=device, progress=progress)
    clock.lap("train")
    request = SearchRequest(
        targets=(THIS_MACHINE,),
        limit_share=_LIMIT_SHARE,
        fresh_table=True,
        pairs=pairs,
        confirm=_FINALISTS,
        seed=seed,
        device=device,
    )
    outcome = search_run(run, request, progress=progress)
    clock.lap("measure and search")
    export = export_subnet(outcome.file, run, progress=progress)
    largest_export = _export_largest(run, outcome.space, progress)
    clock.lap("export")
    compared = _compare(outcome, largest_export, export, seed, device, progress)
    clock.lap("compare")
    write_comparison(run.folder, _comparison(outcome, export, compared))
    report = report_run(run)
    clock.lap("report")
    return DemoOutcome(
        run=run,
        search=outcome,
        export=export,
        largest=compared.largest,
        found=compared.found,
        random=compared.random,
        stages_s=clock.stages,
        elapsed_s=clock.elapsed_s,
        report=report,
    )


def _export_largest(run: Run, space: Space, progress: Progress) -> ExportOutcome:
    folder = run.exports
    path = folder / "largest.json"
    subnet_file(run, space, largest_subnet(space), folder).save(path)
    return export_subnet(path, run, progress=progress)


class _Compared(NamedTuple):
    """The found subnet beside others."""

    largest: Measured
    found: Measured
    random: RandomSubnets
    random_genes: Genes


def _compare(
    outcome: SearchOutcome,
    largest: ExportOutcome,
    found: ExportOutcome,
    seed: int,
    device: str,
    progress: Progress,
) -> _Compared:
    """The two exported subnets and random ones, all timed in turn."""
    run, space = outcome.run, outcome.space
    assert run is not None
    genes = _random_subnets(outcome, seed)
    onnx_ms, random_ms = _time_together(outcome, [largest, found], genes, progress)
    return _Compared(
        largest=_measured(space, largest_subnet(space), largest, onnx_ms[0]),
        found=_measured(space, outcome.subnet, found, onnx_ms[1]),
        random=RandomSubnets(
            top1=_test_accuracies(run, genes, device, progress), latency_ms=random_ms
        ),
        random_genes=genes,
    )


def _measured(space: Space, subnet: Subnet, export: ExportOutcome, latency_ms: float) -> Measured:
    parts = operators(space, subnet)
    return Measured(
        top1=export.verification.top1,
        latency_ms=latency_ms,
        macs=total_macs(parts),
        params=total_params(parts),
    )


def _random_subnets(outcome: SearchOutcome, seed: int) -> Genes:
    """Random subnets whose predicted latency is the found one's measured one, within 5 %.

    The found one was chosen by its prediction, which is therefore too low; random ones were not.
    """
    latency = outcome.table.predictor(outcome.space)
    wanted = outcome.confirmed[0].measured[latency_name(outcome.table.target)]
    domain = Domain.of(outcome.space)
    rng = np.random.default_rng(seed + 1)
    found = domain.sample(0, rng)
    for _ in range(_MOST_DRAWS):
        genes = domain.sample(20_000, rng)
        near = np.abs(latency.ms(genes) / wanted - 1) <= _SAME
        found = unique(np.concatenate([found, genes[near]]))
        if len(found) >= _RANDOM:
            break
    return found[:_RANDOM]


def _time_together(
    outcome: SearchOutcome, exports: list[ExportOutcome], random_genes: Genes, progress: Progress
) -> tuple[list[float], tuple[float, ...]]:
    """Latencies of exported files and of random subnets, timed in turn in one session."""
    space = outcome.space
    models = [export.first.path.read_bytes() for export in exports]
    models += [build_onnx(operators(space, subnet)) for subnet in decode(space, random_genes)]
    ms = measure_drift_corrected(
        outcome.table, space, models, progress=progress, what="found and random subnets"
    ).tolist()
    return ms[: len(exports)], tuple(ms[len(exports) :])


def _test_accuracies(run: Run, genes: Genes, device: str, progress: Progress) -> tuple[float, ...]:
    engine = EngineRequest(device=device)
    top1, _ = Accuracies(run, engine, progress, split="test").measure(genes)
    return tuple(top1.tolist())


def _comparison(outcome: SearchOutcome, export: ExportOutcome, compared: _Compared) -> Comparison:
    """What the report shows beside the search."""
    found, random, random_genes = compared.found, compared.random, compared.random_genes
    verification, predicted = export.verification, outcome.predicted
    latency_mean = float(np.mean(random.latency_ms))
    difference = f"{verification.max_abs_diff:.2g}"
    return Comparison(
        search=outcome.folder.name,
        target=outcome.table.target,
        networks=(
            _row("largest", compared.largest, str(largest_subnet(outcome.space))),
            _row("found", found, str(outcome.subnet)),
            NetworkRow(
                name="random, same latency",
                top1=random.top1_mean,
                latency_ms=latency_mean,
                macs=round(macs_of(outcome.space, random_genes).mean()),
                params=round(params_of(outcome.space, random_genes).mean()),
                note=f"mean of {len(random.top1)}, standard deviation {random.top1_std:.2f} points",
                mean=True,
            ),
        ),
        random=tuple(
            RandomSubnet(latency_ms=ms, top1=top1, subnet=str(subnet))
            for ms, top1, subnet in zip(
                random.latency_ms, random.top1, decode(outcome.space, random_genes)
            )
        ),
        figures={
            "Predicted latency of the found subnet": f"{predicted['latency_ms']:.4f} ms "
            f"({100 * (predicted['latency_ms'] / found.latency_ms - 1):+.1f} % of the measured)",
            "Predicted accuracy of the found subnet": f"{predicted['top1']:.2f} % "
            "(held-out images)",
            "Largest difference of a logit, ONNX Runtime and torch": difference,
            "Accuracy in ONNX Runtime and in torch": f"{verification.top1:.2f} % and "
            f"{verification.torch_top1:.2f} % of {verification.images} test images",
            "Size of the ONNX file": f"{export.first.size_bytes / 1e6:.2f} MB",
        },
    )


def _row(name: str, measured: Measured, note: str) -> NetworkRow:
    return NetworkRow(
        name=name,
        top1=measured.top1,
        latency_ms=measured.latency_ms,
        macs=measured.macs,
        params=measured.params,
        note=note,
    )
