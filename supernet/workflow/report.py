"""The page of a run, or of results without one: a view of what lies in their folder."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from supernet.errors import ConfigError, SupernetError
from supernet.files import write_text
from supernet.latency.words import device_words
from supernet.report import (
    MAX_BYTES,
    ChoiceShares,
    Curve,
    FrontPoint,
    PolicyView,
    Quality,
    QualityPoint,
    Report,
    Scatter,
    SearchView,
    render,
)
from supernet.report.result_view import result_view
from supernet.runs import Run, RunConfig
from supernet.search import (
    PredictorRecord,
    SavedResult,
    TargetRecord,
    latency_name,
    load_result,
    result_folders,
)
from supernet.space.layout import layout_of
from supernet.workflow.comparison import Comparison, read_comparison
from supernet.workflow.quality_file import QualityFile, read_quality

__all__ = ["report_results", "report_run"]

_MOST_SEARCHES = 8  # tabs
_NETWORKS = 150  # subnets of fronts that can be drawn, on the whole page
_FILE_NAME = "report.html"


def report_run(run: Run) -> Path:
    """Write ``report.html`` of a run anew, from all that lies in it; its path.

    Raises:
        FileFormatError: a file of the run is damaged; a damaged search is named on the page
            and left out.
        StorageError: it cannot be written.
    """
    config, metrics = run.config(), run.metrics()
    comparison, quality = read_comparison(run.folder), read_quality(run.folder)
    where = f" --run {shlex.quote(str(run.folder))}"
    views, remarks, older = _views(run.searches, where, comparison)
    space = run.space().name
    report = Report(
        title=f"supernet: {space} on {config.data or 'no images'}",
        subtitle=_subtitle(views),
        facts={
            **_origin(config),
            "Versions": ", ".join(f"{key} {value}" for key, value in config.versions.items()),
            "Run": str(run.folder),
            **remarks,
        },
        networks=comparison.networks if comparison else (),
        training=_curve(metrics, {"loss": "loss"}),
        validation=_curve(
            metrics,
            {
                "largest subnet": "top1_largest",
                "random subnets, mean": "top1_random",
                "smallest subnet": "top1_smallest",
            },
        ),
        policies=_policies(run),
        quality=_quality(quality) if quality else None,
        searches=views,
        figures=comparison.figures if comparison else {},
    )
    return _write(run.folder, report, older)


def report_results(folder: Path) -> Path:
    """Write ``report.html`` of the results below a folder, which need no run; its path.

    Raises:
        ConfigError: there is none.
        StorageError: it cannot be written.
    """
    views, remarks, older = _views(folder, f" --results {shlex.quote(str(folder))}", None)
    if not views and not remarks:
        raise ConfigError(f"{folder}: no result of a search below it", hint="supernet search")
    report = Report(
        title="supernet: results of searches",
        subtitle=_subtitle(views),
        facts={"Folder": str(folder), **remarks},
        networks=(),
        searches=views,
    )
    return _write(folder, report, older)


def _write(folder: Path, report: Report, older: int) -> Path:
    """Write the page, with as many of the newest searches as fit; its path.

    Args:
        folder: for the page.
        report: with the newest searches.
        older: how many searches it does not have.
    """
    path = folder / _FILE_NAME
    while True:
        more = {"Older searches": f"{older}; see `supernet results`"} if older else {}
        text = render(replace(report, facts={**report.facts, **more}))
        share = MAX_BYTES / len(text.encode())
        if share >= 1 or len(report.searches) < 2:
            break
        fewer = max(1, int(len(report.searches) * share))
        older += len(report.searches) - fewer
        newest = report.searches[:fewer]
        report = replace(report, searches=newest, subtitle=_subtitle(newest))
    write_text(path, text)
    return path


def _subtitle(views: Sequence[SearchView]) -> str:
    if not views:
        return "no subnet was searched for yet"
    return f"{len(views)} search{'es' * (len(views) > 1)}, the newest first"


def _views(
    parent: Path, where: str, comparison: Comparison | None
) -> tuple[tuple[SearchView, ...], dict[str, str], int]:
    """The newest searches, what is to be said of unreadable ones, how many are older."""
    views, remarks = [], {}
    folders = result_folders(parent)[::-1]
    shown = folders[:_MOST_SEARCHES]
    for folder in shown:
        try:
            saved = load_result(folder)
        except SupernetError as error:
            remarks[f"Search {folder.name}, left out"] = str(error)
            continue
        own = comparison if comparison and comparison.search == saved.name else None
        views.append(_view(saved, where, own, _NETWORKS // len(shown)))
    return tuple(views), remarks, len(folders) - len(shown)


# ---------------------------------------------------------------- one search


def _view(
    saved: SavedResult, where: str, comparison: Comparison | None, networks: int
) -> SearchView:
    name = shlex.quote(saved.name)
    view = result_view(
        saved.result,
        saved.name,
        chosen=saved.chosen,
        prices={
            target.name: target.operators_ms for target in saved.targets if target.operators_ms
        },
        networks=networks,
        subtitle=_aim(saved),
        commands=f"supernet results show {name}{where} {{pick}}-o subnet.json"
        + f"\nsupernet export subnet.json --onnx{where}" * where.startswith(" --run"),
        predictor=_predictor(saved.predictor) if saved.predictor else None,
        latencies={target.name: _latency(target) for target in saved.targets if target.mape},
        facts=_facts(saved),
    )
    view = replace(view, measured=_finalists(saved, view))
    return _compared(view, comparison) if comparison else view


def _finalists(saved: SavedResult, view: SearchView) -> tuple[FrontPoint, ...]:
    """Subnets that were measured before the winner was named, by their measured figures."""
    points = []
    for one in saved.measured:
        known = {**saved.result.figures(one.index), **one.figures}
        points.append(
            FrontPoint(
                values=tuple(known.get(axis.name) for axis in view.axes),
                label=str(saved.result.subnet(one.index)) + "; breaks a limit" * (not one.within),
                name=view.found if one.index == saved.chosen else "finalist",
            )
        )
    return tuple(points)


def _aim(saved: SavedResult) -> str:
    """What was searched for, in a line."""
    record = saved.result.problem
    words = [
        f"{axis.name} {axis.bound_text}" for axis in record.axes if axis.limit is not None
    ] or ["no limit"]
    words += [f"{name} fixed to {_listed(values)}" for name, values in record.fixed.items()][:6]
    if len(record.fixed) > 6:
        words.append(f"and {len(record.fixed) - 6} more fixed")
    words += [saved.result.proof] * bool(saved.result.proof)
    return f"space {record.space.name}; {'; '.join(words)}"


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


def _facts(saved: SavedResult) -> dict[str, str]:
    found = {"Searched": f"{saved.created} UTC, {saved.result.seconds:.3g} s"}
    for target in saved.targets:
        title = target.name if len(saved.targets) > 1 else "Device"
        found[title] = f"{device_words(target.device)}; {target.runtime}"
        if target.statistic:
            found[f"Latency{f' of {title}' * (title != 'Device')}"] = target.statistic
    if saved.predictor and saved.predictor.kind:
        known = saved.predictor
        source = f", from {known.source}" * bool(known.source)
        sizes = f", knows {known.sizes[0]} to {known.sizes[-1]} px" if known.sizes else ""
        found["Accuracy predictor"] = f"{known.kind}{source}{sizes}"
    found |= {f"Asked: {name}": _listed(value) for name, value in _asked(saved.request).items()}
    return found


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request says something: not what was left at nothing."""
    return {name: value for name, value in request.items() if value not in (None, [], {}, "")}


def _predictor(known: PredictorRecord) -> Scatter | None:
    if not known.measured:
        return None
    words = [f"n = {len(known.measured)} subnets on held-out images, each predicted without itself"]
    words[0] += f" ({known.folds}-fold)" * bool(known.folds)
    if known.kendall is not None:
        words.append(f"Kendall tau {known.kendall:.2f}")
    if known.rmse is not None:
        words.append(f"RMSE {known.rmse:.2f} points")
    if known.coverage is not None:
        words.append(f"{100 * known.coverage:.0f} % inside their 90 % interval")
    return Scatter(
        measured=known.measured,
        predicted=known.predicted,
        labels=known.labels,
        caption="; ".join(words),
    )


def _latency(target: TargetRecord) -> Scatter:
    kendall = f", Kendall tau {target.kendall:.2f}" if target.kendall is not None else ""
    return Scatter(
        measured=target.measured_ms,
        predicted=target.predicted_ms,
        caption=f"n = {len(target.measured_ms)} whole networks that had no part in the table; "
        f"mean error {target.mape:.1f} %{kendall}",
    )


def _compared(view: SearchView, comparison: Comparison) -> SearchView:
    """The view with what was measured beside the search."""
    names = [axis.name for axis in view.axes]

    def values(top1: float, latency_ms: float, **known: float) -> tuple[float | None, ...]:
        own = {"top1": top1, latency_name(comparison.target): latency_ms, **known}
        return tuple(own.get(name) for name in names)

    return replace(
        view,
        measured=tuple(
            FrontPoint(
                values=values(row.top1, row.latency_ms, macs=row.macs, params=row.params),
                label=row.note,
                name=row.name,
            )
            for row in comparison.networks
            if not row.mean
        ),
        random=tuple(
            FrontPoint(values=values(row.top1, row.latency_ms), label=row.subnet)
            for row in comparison.random
        ),
    )


# ---------------------------------------------------------------- the run


def _quality(found: QualityFile) -> Quality:
    words = [
        f"n = {len(found.subnets)} subnets, recalibrated, on {found.images:,} "
        f"{'test' if found.split == 'test' else 'held-out'} images",
        f"Kendall tau of accuracy and multiply-adds {found.kendall_macs:.2f}",
    ]
    if found.kendall_standalone is not None and found.mean_gap is not None:
        words.append(
            f"shared weights against standalone training for {found.standalone_epochs:g} epochs: "
            f"{found.mean_gap:+.2f} points on average, Kendall tau {found.kendall_standalone:.2f}"
        )
    return Quality(
        points=tuple(
            QualityPoint(
                name=row.name,
                macs=row.macs,
                top1=row.top1,
                standalone=row.standalone_top1,
                label=row.subnet,
            )
            for row in found.subnets
        ),
        caption="; ".join(words) + ".",
    )


def _policies(run: Run) -> tuple[PolicyView, ...]:
    """What phases that searched learned, from the notes of the training."""
    records = run.learned()
    genes = layout_of(run.space()).genes if records else ()
    found = []
    for phase in dict.fromkeys(record["phase"] for record in records):
        own = [record for record in records if record["phase"] == phase]
        last = own[-1]
        found.append(
            PolicyView(
                name=phase,
                epochs=tuple(float(record["epoch"]) for record in own),
                genes=tuple(
                    ChoiceShares(
                        name=gene.name,
                        choices=tuple(
                            choice if isinstance(choice, str) else f"{choice:g}"
                            for choice in gene.choices
                        ),
                        shares=tuple(tuple(r["probabilities"][gene.name]) for r in own),
                    )
                    for gene in genes
                ),
                caption=f"Method {last['method']}; expected latency on {last['target']} in the "
                f"end {last['expected_ms']:.4g} ms, limit {last['limit_ms']:.4g} ms; "
                f"entropy {own[0]['entropy']:.1f} nats after the first epoch noted, "
                f"{last['entropy']:.1f} in the end. n = {len(own)} epochs.",
            )
        )
    return tuple(found)


def _origin(config: RunConfig) -> dict[str, str]:
    if config.imported:
        return {"Imported": f"{config.created}, from {config.imported.get('source', 'unknown')}"}
    return {"Trained": f"{config.created}, seed {config.seed}, on {config.device}"}


def _curve(records: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Curve, ...]:
    curves = []
    for name, key in names.items():
        having = [record for record in records if _is_known(record.get(key))]
        if having:
            x = tuple(float(record["epoch"]) for record in having)
            curves.append(Curve(name=name, x=x, y=tuple(float(r[key]) for r in having)))
    return tuple(curves)


def _is_known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
