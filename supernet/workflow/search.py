"""From a trained supernet to the best subnet for a target."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.files import write_text
from supernet.latency import (
    LatencyPredictor,
    LatencyTable,
    Prediction,
    load_target,
    this_machine,
)
from supernet.latency.targets import THIS_MACHINE
from supernet.predict import (
    AccuracyPairs,
    AccuracyPredictor,
    MLPPredictor,
    Validation,
    fit_predictor,
)
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.search import Evolution, Found, check_limit, search
from supernet.space import (
    Genes,
    Space,
    Subnet,
    SubnetFile,
    decode,
    largest,
    macs_of,
    params_of,
)
from supernet.space.layout import layout_of
from supernet.workflow.accuracies import Accuracies, random_pairs

Values = npt.NDArray[np.float64]

__all__ = ["SearchOutcome", "search_target", "subnet_file"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SearchOutcome:
    """What a search found, and what it was based on."""

    run: Run
    space: Space
    table: LatencyTable
    pairs: Genes
    """Random subnets that the predictor was validated on, shape ``(M, G)``; none for an
    imported predictor."""
    validation: Validation | None
    """Of the accuracy predictor; None for an imported one, whose error is not known here."""
    known_sizes: tuple[int, ...] = ()
    """Input sizes that an imported predictor knows; others it inter- or extrapolates."""
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
    limit_share: float = 0.5,
    pairs: int = 100,
    rounds: int = 2,
    candidates: int = 16,
    evolution: Evolution | None = None,
    fresh_table: bool = False,
    seed: int = 0,
    device: str = "cpu",
    output: Path | None = None,
    progress: Progress = silent,
) -> SearchOutcome:
    """Find the front for a target and the best subnet under a latency limit.

    Measures what is not known yet: the table of this machine, and the accuracy of
    some subnets on the held-out images, unless a predictor was imported. Writes
    ``subnet.json`` and ``front.csv`` into the run's ``search/<target>/``.

    Args:
        run: a trained one.
        target: name of a target, or path of a table.
        max_latency_ms: the limit.
        limit_share: the limit as a share of the largest subnet's latency, where
            `max_latency_ms` is not given; raised to what the fastest subnet needs.
        pairs: random subnets whose accuracy the predictor learns from.
        rounds: times that the most promising subnets are measured and learned from
            before the last search (as in DyNAS-T's LINAS, arXiv:2202.12954).
        candidates: subnets measured in each of these rounds.
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
    limit_ms = _limit(latency, limit_share) if max_latency_ms is None else max_latency_ms
    check_limit(space, latency, limit_ms)

    def look(top1: Callable[[Genes], Values], start: Genes | None = None, number: int = 0) -> Found:
        return search(
            space,
            top1=top1,
            latency=latency,
            max_latency_ms=limit_ms,
            evolution=evolution,
            start=start,
            seed=seed + number,
            progress=progress,
        )

    if run.imported_predictor.is_file():
        looked = _look_by_imported(run, space, look)
    else:
        _check_images(run)
        accuracies = Accuracies(run, space, device, progress)
        random = random_pairs(space, pairs, seed)
        promising = partial(_promising, limit_ms=limit_ms, count=candidates)
        looked = _look_and_learn(accuracies, random, look, promising, rounds)
    found = looked.found
    return SearchOutcome(
        run=run,
        space=space,
        table=table,
        pairs=looked.pairs,
        validation=looked.validation,
        known_sizes=looked.sizes,
        found=found,
        max_latency_ms=limit_ms,
        subnet=decode(space, found.genes[[found.best]])[0],
        file=_write(run, space, table, latency, found, looked.validation, output),
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Looked:
    """What was found by a predictor, and what that is known of; as in `SearchOutcome`."""

    found: Found
    pairs: Genes
    validation: Validation | None = None
    sizes: tuple[int, ...] = ()


def _look_by_imported(run: Run, space: Space, look: Callable[..., Found]) -> _Looked:
    """Search by the accuracy predictor that was imported."""
    known = MLPPredictor.load(run.imported_predictor, space)
    nothing = np.zeros((0, len(layout_of(space).genes)), dtype=np.int8)
    return _Looked(found=look(known.mean), pairs=nothing, sizes=known.sizes)


def _look_and_learn(
    accuracies: Accuracies,
    random: Genes,
    look: Callable[..., Found],
    promising: Callable[[Found, Genes], Genes],
    rounds: int,
) -> _Looked:
    """Search, measure the most promising subnets, learn from them, and search again."""
    space, run = accuracies.space, accuracies.run
    scores = accuracies.measure(random)
    top1, loss = scores
    known = AccuracyPairs(space=space, genes=random, top1=top1, loss=loss)
    predictor: AccuracyPredictor = fit_predictor(known, "gp")
    validation = predictor.validation
    found = look(predictor.mean, known.genes)
    for number in range(1, rounds + 1):
        promising_genes = promising(found, known.genes)
        known = known.joined(promising_genes, *accuracies.measure(promising_genes))
        predictor = fit_predictor(known, "gp")
        found = look(predictor.mean, known.genes, number)
    predictor.save(run.folder / "predictor" / "predictor.json")
    return _Looked(found=found, pairs=random, validation=validation)


def _check_images(run: Run) -> None:
    """Refuse a search that could neither measure nor predict an accuracy."""
    if not run.config().data:
        raise ConfigError(
            f"{run.folder}: the supernet was imported without images, so no accuracy can be "
            "measured, and no accuracy predictor was imported",
            hint="supernet import ofa --accuracy-predictor FILE --run RUN, or import the "
            "supernet again with --data",
        )


def _promising(found: Found, measured: Genes, *, limit_ms: float, count: int) -> Genes:
    """The most accurate subnets by prediction within the limit that were not measured."""
    order = np.argsort(-found.top1, kind="stable")
    within = found.genes[order[found.latency_ms[order] <= limit_ms]]
    known = {row.tobytes() for row in measured}
    fresh = [row for row in within[: count + len(measured)] if row.tobytes() not in known]
    return np.array(fresh[:count], dtype=np.int8).reshape(-1, measured.shape[1])


def _limit(latency: LatencyPredictor, share: float) -> float:
    """A share of the largest subnet's latency, or a little above that of the fastest."""
    ends = np.concatenate([largest(latency.space), latency.fastest()])
    slowest_ms, fastest_ms = latency.ms(ends).tolist()
    return max(share * float(slowest_ms), 1.05 * float(fastest_ms))


def subnet_file(run: Run, space: Space, subnet: Subnet, folder: Path, **known: Any) -> SubnetFile:
    """The file of a subnet of a run, to be saved in `folder`."""
    return SubnetFile.of(space, subnet, checkpoint=run.checkpoint(folder), **known)


def _write(
    run: Run,
    space: Space,
    table: LatencyTable,
    latency: LatencyPredictor,
    found: Found,
    validation: Validation | None,
    output: Path | None,
) -> Path:
    folder = run.folder / "search" / table.target
    best = found.genes[[found.best]]
    interval = latency.predict(best)
    predicted: dict[str, Any] = {
        "target": table.target,
        "latency_ms": float(interval.ms[0]),
        **_interval(interval),
        "top1": float(found.top1[found.best]),
    }
    if validation is not None:
        predicted["top1_rmse"] = validation.rmse
    for path in (folder / "subnet.json", *([output] if output else [])):
        known = subnet_file(run, space, decode(space, best)[0], path.parent, predicted=predicted)
        known.save(path)
    write_text(folder / "front.csv", _front_csv(space, found))
    return folder / "subnet.json"


def _interval(prediction: Prediction) -> dict[str, float]:
    """What is known of the interval: nothing where no network was held out."""
    ends = {"low": float(prediction.low_ms[0]), "high": float(prediction.high_ms[0])}
    return {f"latency_{k}_ms": v for k, v in ends.items() if np.isfinite(v)}


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
