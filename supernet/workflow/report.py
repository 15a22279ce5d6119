"""The report of a run, from what its training, search and comparison left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from supernet.files import write_text
from supernet.report import (
    Curve,
    FrontPoint,
    NetworkRow,
    OperatorRow,
    Quality,
    QualityPoint,
    Report,
    Scatter,
    render,
    with_quality,
)
from supernet.runs import Run, RunConfig
from supernet.space import decode, stage_operators
from supernet.workflow.quality_file import QualityFile, read_quality
from supernet.workflow.search import SearchOutcome

__all__ = ["Comparison", "show_quality", "write_report"]

_SHOWN = 1500  # searched subnets drawn, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was measured beside the search, where it was."""

    networks: Sequence[NetworkRow] = ()
    random: Sequence[FrontPoint] = ()
    figures: Mapping[str, str] = field(default_factory=dict)


def write_report(outcome: SearchOutcome, comparison: Comparison | None = None) -> Path:
    """Write ``report.html`` into the run; its path."""
    comparison = comparison or Comparison()
    config, device = outcome.run.config(), outcome.table.device
    curves = _curves(outcome.run)
    report = Report(
        title=f"supernet: {outcome.space.name} on {config.data or 'no images'}",
        subtitle=f"the best subnet within {outcome.max_latency_ms:.3g} ms on "
        f"{outcome.table.target}",
        facts={
            "Device": device.get("processor", "unknown"),
            "Runtime": f"{device.get('runtime')} {device.get('runtime_version')}, "
            f"{outcome.table.threads} thread, {outcome.table.precision}",
            "Latency": str(outcome.table.protocol.get("statistic", "")),
            **_origin(config),
            "Versions": ", ".join(f"{key} {value}" for key, value in config.versions.items()),
            "Run": str(outcome.run.folder),
        },
        networks=tuple(comparison.networks),
        training=curves["training"],
        validation=curves["validation"],
        quality=_quality(read_quality(outcome.run.folder)),
        predictor=_predictor(outcome),
        latency=_latency(outcome),
        searched=_points(outcome, _subsample(len(outcome.found.top1))),
        random=tuple(comparison.random),
        front=_points(outcome, outcome.found.front),
        measured_front=tuple(
            FrontPoint(latency_ms=row.latency_ms, top1=row.top1, label=row.note, name=row.name)
            for row in comparison.networks
            if not row.name.startswith("random")
        ),
        limit_ms=outcome.max_latency_ms,
        architecture=_architecture(outcome),
        figures=comparison.figures,
    )
    path = outcome.run.folder / "report.html"
    write_text(path, render(report))
    return path


def show_quality(run: Run, quality: QualityFile) -> Path:
    """Put the quality of a supernet into the run's report; the path of that.

    What a search wrote into the report stays; without one, the report is of the training.
    """
    path, shown = run.folder / "report.html", _quality(quality)
    assert shown is not None
    if path.is_file():
        write_text(path, with_quality(path.read_text(encoding="utf-8"), shown))
        return path
    config, curves = run.config(), _curves(run)
    report = Report(
        title=f"supernet: {quality.space} on {config.data or 'no images'}",
        subtitle="no subnet was searched for yet",
        facts={
            **_origin(config),
            "Versions": ", ".join(f"{key} {value}" for key, value in config.versions.items()),
            "Run": str(run.folder),
        },
        networks=(),
        training=curves["training"],
        validation=curves["validation"],
        quality=shown,
    )
    write_text(path, render(report))
    return path


def _quality(found: QualityFile | None) -> Quality | None:
    if found is None:
        return None
    words = [
        f"n = {len(found.subnets)} subnets, recalibrated, on {found.images:,} "
        f"{'test' if found.split == 'test' else 'held-out'} images",
        f"Kendall tau of accuracy and multiply-adds {found.kendall_macs:.2f}",
    ]
    if found.kendall_alone is not None and found.mean_gap is not None:
        words.append(
            f"shared weights against training alone for {found.alone_epochs:g} epochs: "
            f"{found.mean_gap:+.2f} points on average, Kendall tau {found.kendall_alone:.2f}"
        )
    return Quality(
        points=tuple(
            QualityPoint(
                name=row.name,
                macs=row.macs,
                top1=row.top1,
                alone=row.alone_top1,
                label=row.subnet,
            )
            for row in found.subnets
        ),
        caption="; ".join(words) + ".",
    )


def _origin(config: RunConfig) -> dict[str, str]:
    if config.imported:
        return {"Imported": f"{config.created}, from {config.imported.get('source', 'unknown')}"}
    return {"Trained": f"{config.created}, seed {config.seed}, on {config.device}"}


def _subsample(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(np.linspace(0, count - 1, min(count, _SHOWN)).astype(np.int64))


def _points(
    outcome: SearchOutcome, index: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[FrontPoint, ...]:
    found = outcome.found
    subnets = decode(outcome.space, found.genes[index])
    values = zip(found.latency_ms[index].tolist(), found.top1[index].tolist(), subnets)
    return tuple(FrontPoint(latency_ms=ms, top1=top1, label=str(s)) for ms, top1, s in values)


def _predictor(outcome: SearchOutcome) -> Scatter | None:
    validation = outcome.validation
    if validation is None:
        return None
    return Scatter(
        measured=tuple(validation.measured.tolist()),
        predicted=tuple(validation.predicted.tolist()),
        labels=tuple(str(subnet) for subnet in decode(outcome.space, outcome.pairs)),
        caption=f"n = {len(outcome.pairs)} subnets on held-out images, each predicted without "
        f"itself ({validation.folds}-fold); Kendall tau {validation.kendall:.2f}, "
        f"RMSE {validation.rmse:.2f} points",
    )


def _latency(outcome: SearchOutcome) -> Scatter | None:
    held_out = outcome.table.held_out
    if not held_out.networks:
        return None
    return Scatter(
        measured=held_out.measured_ms,
        predicted=held_out.predicted_ms,
        caption=f"n = {held_out.networks} whole networks that had no part in the table; mean "
        f"error {held_out.mape:.1f} %, Kendall tau {held_out.kendall:.2f}",
    )


def _architecture(outcome: SearchOutcome) -> tuple[OperatorRow, ...]:
    named = stage_operators(outcome.space, outcome.subnet)
    times = outcome.table.operator_ms(
        [operator for _, operator in named], outcome.space.name
    ).tolist()
    return tuple(
        OperatorRow(slot=slot, operator=operator, latency_ms=ms)
        for (slot, operator), ms in zip(named, times)
    )


def _curves(run: Run) -> dict[str, tuple[Curve, ...]]:
    records = run.metrics()
    return {
        "training": _curve(records, {"loss": "loss"}),
        "validation": _curve(
            records,
            {
                "largest subnet": "top1_largest",
                "random subnets, mean": "top1_random",
                "smallest subnet": "top1_smallest",
            },
        ),
    }


def _curve(records: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Curve, ...]:
    curves = []
    for name, key in names.items():
        having = [record for record in records if key in record]
        if having:
            x = tuple(float(record["epoch"]) for record in having)
            curves.append(Curve(name=name, x=x, y=tuple(float(r[key]) for r in having)))
    return tuple(curves)
