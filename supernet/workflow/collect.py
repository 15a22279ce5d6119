"""Accuracy pairs of a run for predictors: collected, and predictions checked against fresh ones."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.evaluate import Pairs
from supernet.files import write_bytes
from supernet.progress import Progress, silent
from supernet.runs import Run
from supernet.space import Domain, Genes, canonical, count_subnets, unique
from supernet.workflow.accuracies import Accuracies, random_pairs
from supernet.workflow.engines import EngineRequest, check_count

__all__ = ["Checked", "check_predictor", "collect_pairs", "write_pairs"]

Values = npt.NDArray[np.float64]


class Checked(NamedTuple):
    """Fresh subnets, what was measured of them and what was predicted."""

    genes: Genes
    """Shape ``(N, G)``."""
    measured: Values
    """Top-1 in percent, shape ``(N,)``."""
    predicted: Values
    """Likewise."""


def collect_pairs(
    run: Run,
    count: int,
    *,
    images: int | None = None,
    engine: EngineRequest | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Pairs:
    """Measure subnets of all sizes on the hold-out images.

    Nothing is measured twice: called again after it was stopped, it goes on, and a larger
    `count` adds to what is there where the run was asked with the same seed.

    Args:
        run: a trained one.
        count: of subnets, the largest and the smallest included.
        images: of the hold-out, always the same ones; all when not given.
        engine: what measures; this process when not given.
        seed: of the subnets.
        progress: told about every subnet.

    Raises:
        ConfigError: a count that is too small, or a run without images.
    """
    check_count("count", count, lowest=2)
    if images is not None:
        check_count("images", images, lowest=1)
    _check_images(run)
    genes = random_pairs(run.space(), count, seed)
    with Accuracies(run, engine, progress, images=images or 0) as accuracies:
        top1, loss = accuracies.measure(genes)
    return Pairs(genes, top1, loss)


def check_predictor(
    run: Run,
    predict: Callable[[Genes], Values],
    count: int,
    *,
    known: Genes | None = None,
    images: int | None = None,
    engine: EngineRequest | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Checked:
    """Measure subnets that a predictor has not seen, and predict them.

    Args:
        run: that the predictor is of.
        predict: top-1 in percent of a population ``(N, G)``, shape ``(N,)``.
        count: of fresh subnets.
        known: those it was fitted to, shape ``(M, G)``; what the run has measured on
            hold-out images when not given.
        images: of the hold-out; all when not given.
        engine: what measures; this process when not given.
        seed: of the subnets.
        progress: told about every subnet.

    Raises:
        ConfigError: the space has not that many others.
    """
    check_count("count", count, lowest=2)
    _check_images(run)
    with Accuracies(run, engine, progress, images=images or 0) as accuracies:
        if known is None:
            known = _measured_before(accuracies)
        genes = _fresh(run, known, count, seed)
        top1, _ = accuracies.measure(genes)
    return Checked(genes, top1, np.asarray(predict(genes), dtype=np.float64))


def write_pairs(path: Path, run: Run, pairs: Pairs) -> Path:
    """Write pairs as ``.npz``: ``genes`` ``(N, G)``, ``top1``, ``loss``, ``space``; its path."""
    content = io.BytesIO()
    np.savez(content, **pairs._asdict(), space=np.array(run.space().hash))
    write_bytes(path, content.getvalue())
    return path


def _check_images(run: Run) -> None:
    if not run.config().data:
        raise ConfigError(
            f"{run.folder}: the supernet was imported without images, so no accuracy can be "
            "measured",
            hint="import it again with --data",
        )


def _measured_before(accuracies: Accuracies) -> Genes:
    """All subnets of these weights that were measured on hold-out images."""
    own = accuracies.condition.weights
    conditions = [
        c for c in accuracies.evidence.conditions() if c.weights == own and c.split == "holdout"
    ]
    found = [pairs.genes for c in conditions if len((pairs := accuracies.evidence.pairs(c)).top1)]
    nothing = random_pairs(accuracies.space, 2, 0)[:0]
    return unique(np.concatenate([nothing, *found])) if found else nothing


def _fresh(run: Run, known: Genes, count: int, seed: int) -> Genes:
    """Subnets of all sizes that are not among `known`, shape ``(count, G)``.

    Raises:
        ConfigError: the space has not that many.
    """
    space = run.space()
    seen = {row.tobytes() for row in canonical(space, known)}
    left = count_subnets(space) - len(seen)
    if left < 2 * count:  # drawing would take for ever
        raise ConfigError(
            f"count: {count} fresh subnets were asked for, and {left} of the space are left "
            "that were not measured",
            hint=f"check with {max(2, left // 2)} or fewer",
        )
    rng = np.random.default_rng([seed, 1])
    chosen: list[npt.NDArray[np.int8]] = []
    while len(chosen) < count:
        for row in Domain.of(space).sample_spread(count, rng):
            if row.tobytes() not in seen:
                seen.add(row.tobytes())
                chosen.append(row)
    return np.array(chosen[:count], dtype=np.int8)
