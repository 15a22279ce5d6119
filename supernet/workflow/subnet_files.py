"""Subnets of searches as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from supernet.latency import LatencyTable
from supernet.predict import AccuracyPredictor
from supernet.runs import Run, find_run
from supernet.search import Problem, SearchResult
from supernet.search.objective import latency_name
from supernet.space import WHOLE, Body, Genes, Space, Subnet, SubnetFile, decode
from supernet.space.published_cells import published_subnet
from supernet.workflow.confirm import Confirmed
from supernet.workflow.predictor import space_of
from supernet.workflow.request import SearchRequest

__all__ = ["predicted_latency", "subnet_file", "write_chosen", "write_published"]


def subnet_file(
    run: Run | None, space: Space, subnet: Subnet, folder: Path, **known: Any
) -> SubnetFile:
    """The file of a subnet, to be saved in `folder`; with the checkpoint of a run."""
    checkpoint = run.checkpoint(folder) if run else None
    return SubnetFile.of(space, subnet, checkpoint=checkpoint, **known)


def write_published(
    cells: str, space_name: str | None, run_folder: Path | None, path: Path
) -> SubnetFile:
    """Write cells that were published as a subnet of a space, or of that of a run.

    Args:
        cells: their name, of `supernet.space.published_cells`.
        space_name: name or YAML file.
        run_folder: of a run, in place of a space; its weights then belong to the file.
        path: of the file.

    Raises:
        ConfigError: no such cells, or none of this space; not one of both was given.
    """
    space = space_of(space_name, run_folder)
    run = None if run_folder is None else find_run(run_folder)
    file = subnet_file(run, space, published_subnet(space, cells), path.resolve().parent)
    file.save(path)
    return file


def write_chosen(
    run: Run | None,
    problem: Problem,
    result: SearchResult,
    chosen: int,
    tables: Mapping[str, LatencyTable],
    predictor: AccuracyPredictor | None,
    confirmed: tuple[Confirmed, ...],
    path: Path,
    request: SearchRequest,
) -> None:
    """Write the chosen subnet of a result, with what was predicted and measured of it.

    Of a search for a backbone, its latency stands beside that of the whole network.
    """
    genes, space, figures = result.genes[[chosen]], problem.domain.space, result.figures(chosen)
    body = request.body
    rungs = {objective.name for objective in problem.columns if objective.measured}
    measured = {name: value for name, value in figures.items() if name in rungs}
    predicted: dict[str, Any] = {} if measured else {"top1": figures["top1"]}
    if predictor is not None and predictor.validation is not None and not measured:
        predicted["top1_rmse"] = predictor.validation.rmse
    for number, (target, table) in enumerate(tables.items()):
        ms = predicted_latency(table, space, genes)
        if body.features:
            of_body = predicted_latency(table, space, genes, body)
            ms |= {f"features_{key}": value for key, value in of_body.items()}
        if number == 0:
            predicted |= {"target": target, **ms}
        else:
            predicted |= {f"{key}@{target}": value for key, value in ms.items()}
    if request.precision == "int8":
        predicted["precision"] = "int8"
    predicted |= told_of(body)
    others = ("top1", *measured, *(latency_name(target) for target in tables))
    predicted |= {k: v for k, v in figures.items() if k not in others}
    measured |= confirmed[0].told(tables, of_features=bool(body.features)) if confirmed else {}
    subnet = decode(space, genes)[0]
    file = subnet_file(run, space, subnet, path.parent, predicted=predicted, measured=measured)
    file.save(path)


def told_of(body: Body) -> dict[str, Any]:
    """What costs are of, as in a ``subnet.json``; empty where that is the whole network."""
    features = {"features": list(body.features)} if body.features else {}
    return features | ({"features_size": list(body.size)} if body.size else {})


def predicted_latency(
    table: LatencyTable, space: Space, genes: Genes, body: Body = WHOLE
) -> dict[str, float]:
    """Predicted milliseconds, with the interval where networks were held out.

    Of a backbone without one: tables are checked by whole networks.

    Args:
        table: of the target.
        space: of the subnet.
        genes: its own, ``(1, G)``.
        body: which of its operators count.
    """
    found = table.predict_ms(space, genes, body)
    if body.features:
        return {"latency_ms": float(found.ms[0])}
    ends = {"latency_low_ms": found.low_ms[0], "latency_high_ms": found.high_ms[0]}
    known = {key: float(value) for key, value in ends.items() if np.isfinite(value)}
    return {"latency_ms": float(found.ms[0]), **known}
