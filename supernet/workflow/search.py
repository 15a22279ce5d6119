"""From a trained supernet to the best subnet for a target."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from supernet.evaluate import Evaluations, Evaluator, evaluate_all
from supernet.files import sha256, write_text
from supernet.latency import LatencyPredictor, LatencyTable, load_target, this_machine
from supernet.latency.targets import THIS_MACHINE
from supernet.predict import AccuracyPredictor, CrossValidation, cross_validate
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.search import Evolution, Found, check_limit, fastest, search
from supernet.space import (
    Genes,
    Space,
    Subnet,
    SubnetFile,
    count_subnets,
    decode,
    largest,
    macs_of,
    params_of,
    sample,
    smallest,
    unique,
)

__all__ = ["SearchOutcome", "search_target", "subnet_file"]

CALIBRATION_IMAGES = 1000


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SearchOutcome:
    """What a search found, and what it was based on."""

    run: Run
    space: Space
    table: LatencyTable
    pairs: Genes
    """Subnets whose accuracy was measured, shape ``(M, G)``."""
    validation: CrossValidation
    """Of the accuracy predictor."""
    found: Found
    max_latency_ms: float
    subnet: Subnet
    file: Path
    """The ``subnet.json``."""

    @property
    def predicted(self) -> Mapping[str, Any]:
        """What is predicted of the subnet, as in ``subnet.json``."""
        return SubnetFile.load(self.file).predicted


def search_target(
    run: Run,
    target: str = THIS_MACHINE,
    *,
    max_latency_ms: float | None = None,
    pairs: int = 100,
    evolution: Evolution | None = None,
    fresh_table: bool = False,
    seed: int = 0,
    device: str = "cpu",
    output: Path | None = None,
    progress: Progress = silent,
) -> SearchOutcome:
    """Find the front for a target and the best subnet under a latency limit.

    Measures what is not known yet: the table of this machine, and the accuracy of
    some subnets on the held-out images. Writes ``subnet.json`` and ``front.csv``
    into the run's ``search/<target>/``.

    Args:
        run: a trained one.
        target: name of a target, or path of a table.
        max_latency_ms: the limit; half the latency of the largest subnet when not given
            (a little above that of the fastest where that is more).
        pairs: subnets whose accuracy the predictor learns from.
        evolution: how long to search.
        fresh_table: measure this machine again even if it is known.
        seed: of every random choice.
        device: where to evaluate.
        output: also write ``subnet.json`` there.
        progress: told about all long work.

    Raises:
        InfeasibleError: no subnet meets the limit; names the fastest.
        ConfigError: an unknown target, or one that lacks operators of the space.
    """
    space = run.space()
    if target == THIS_MACHINE:
        table = this_machine(space, fresh=fresh_table, progress=progress)
    else:
        table = load_target(target)
    latency = table.predictor(space)
    if max_latency_ms is None:
        max_latency_ms = _default_limit(space, latency)
    check_limit(space, latency.ms, max_latency_ms)
    genes, top1 = _accuracy_pairs(run, space, pairs, seed, device, progress)
    validation = cross_validate(space, genes, top1)
    predictor = AccuracyPredictor(space, genes, top1)
    predictor.save(run.folder / "predictor" / "predictor.json")
    found = search(
        space,
        top1=predictor.predict,
        latency_ms=latency.ms,
        max_latency_ms=max_latency_ms,
        evolution=evolution,
        seed=seed,
        progress=progress,
    )
    file = _write(run, space, table, latency, found, validation, output)
    return SearchOutcome(
        run=run,
        space=space,
        table=table,
        pairs=genes,
        validation=validation,
        found=found,
        max_latency_ms=max_latency_ms,
        subnet=decode(space, found.genes[[found.best]])[0],
        file=file,
    )


def _default_limit(space: Space, latency: LatencyPredictor) -> float:
    """Half the latency of the largest subnet, or a little above that of the fastest."""
    ends = np.concatenate([largest(space), fastest(space, latency.ms)])
    slowest_ms, fastest_ms = latency.ms(ends).tolist()
    return max(0.5 * slowest_ms, 1.05 * fastest_ms)


def _accuracy_pairs(
    run: Run, space: Space, count: int, seed: int, device: str, progress: Progress
) -> tuple[Genes, np.ndarray[Any, np.dtype[np.float64]]]:
    """Measured accuracies of the corners and of random subnets, on held-out images."""
    rng = np.random.default_rng(seed)
    genes = np.concatenate([largest(space), smallest(space)])
    while len(genes) < min(count, count_subnets(space)):
        genes = unique(np.concatenate([genes, sample(space, count, rng)]))[:count]
    known = Evaluations(
        run.folder / "evaluations.sqlite",
        weights=sha256(run.weights()),
        split="holdout",
        calibration_images=CALIBRATION_IMAGES,
    )
    evaluator = Evaluator(
        run.supernet().to(device),
        run.dataset(progress),
        device=device,
        calibration_images=CALIBRATION_IMAGES,
    )
    top1 = evaluate_all(evaluator, decode(space, genes), "holdout", known, progress)
    return genes, np.array(top1)


def subnet_file(run: Run, space: Space, subnet: Subnet, folder: Path, **known: Any) -> SubnetFile:
    """The file of a subnet of a run, to be saved in `folder`."""
    weights = run.weights()
    checkpoint = {"path": os.path.relpath(weights, folder), "sha256": sha256(weights)}
    return SubnetFile.of(space, subnet, checkpoint=checkpoint, **known)


def _write(
    run: Run,
    space: Space,
    table: LatencyTable,
    latency: LatencyPredictor,
    found: Found,
    validation: CrossValidation,
    output: Path | None,
) -> Path:
    folder = run.folder / "search" / table.target
    best = found.genes[[found.best]]
    interval = latency.predict(best)
    predicted = {
        "target": table.target,
        "latency_ms": float(interval.ms[0]),
        "latency_low_ms": float(interval.low_ms[0]),
        "latency_high_ms": float(interval.high_ms[0]),
        "top1": float(found.top1[found.best]),
        "top1_rmse": validation.rmse,
    }
    for path in (folder / "subnet.json", *([output] if output else [])):
        known = subnet_file(run, space, decode(space, best)[0], path.parent, predicted=predicted)
        known.save(path)
    write_text(folder / "front.csv", _front_csv(space, found))
    return folder / "subnet.json"


def _front_csv(space: Space, found: Found) -> str:
    genes = found.genes[found.front]
    columns = zip(
        found.latency_ms[found.front].tolist(),
        found.top1[found.front].tolist(),
        macs_of(space, genes).tolist(),
        params_of(space, genes).tolist(),
        decode(space, genes),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["latency_ms", "top1", "macs", "params", "subnet"])
    writer.writerows(
        [f"{ms:.6g}", f"{top1:.4f}", macs, params, s] for ms, top1, macs, params, s in columns
    )
    return text.getvalue()
