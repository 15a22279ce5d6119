"""Fitting a work model to measured operators, and finding out how wrong it is."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.latency.model import ModelError, OperatorModel, activation_class, kind_of, size_of
from supernet.latency.solve import nonnegative_least_squares
from supernet.latency.table import LatencyTable
from supernet.latency.work import WORK_TERMS, work_terms
from supernet.metrics import mean_absolute_percentage_error
from supernet.space import (
    Operator,
    OperatorSum,
    Space,
    list_spaces,
    load_space,
    operators_of,
    sample,
)
from supernet.space.layout import layout_of

__all__ = ["FEWEST_OPERATORS", "fit_work_model", "with_work_model"]

Values = npt.NDArray[np.float64]

FEWEST_OPERATORS = 40
_FOLDS = 5  # of single rows
_BLOCKS = 100  # folds, at most, where all sizes of a block are left out
_NETWORKS = 1000
_SEED = 20200426
_NAMES = tuple(WORK_TERMS)


def fit_work_model(
    times_ms: Mapping[Operator, float], *, source: str = "", prior: OperatorModel | None = None
) -> OperatorModel:
    """Non-negative coefficients of the least relative errors, with their error.

    Args:
        times_ms: measured operators; one with a time of 0 is a part of another row, and
            work that only such rows have costs nothing by itself.
        source: what they are, in words.
        prior: of another device. Work that no measured operator has costs what it costs
            there, times the ratio of the two devices on what both have; without a prior
            such work has no price and operators with it are not known.

    Raises:
        ConfigError: fewer than 40 operators.
    """
    operators = [operator for operator, ms in times_ms.items() if ms > 0]
    if len(operators) < FEWEST_OPERATORS:
        raise ConfigError(
            f"a model needs at least {FEWEST_OPERATORS} measured operators, found {len(operators)}"
        )
    times = np.array([times_ms[operator] for operator in operators])
    work = _work(operators)
    found = _fit(work, times)
    seen = _work(list(times_ms)).sum(axis=0).tolist()
    coefficients = {name: c for name, c, s in zip(_NAMES, found.tolist(), seen) if s > 0}
    borrowed = _borrow(prior, work.sum(axis=0), coefficients)
    return OperatorModel(
        terms="work",
        coefficients=coefficients | borrowed,
        source=source,
        operators=len(operators),
        borrowed=tuple(borrowed),
        kinds=_kinds(list(times_ms)),
        activations=tuple(sorted({activation_class(operator) for operator in times_ms})),
        error=_error(operators, work, times),
    )


def with_work_model(table: LatencyTable, prior: OperatorModel | None = None) -> LatencyTable:
    """`table` with a model fitted to its rows; as it is where they are too few."""
    times = {operator: row.ms for operator, row in table.rows.items()}
    if sum(ms > 0 for ms in times.values()) < FEWEST_OPERATORS:
        return table
    source = f"the rows of {table.target}"
    return replace(table, model=fit_work_model(times, source=source, prior=prior))


def _work(operators: Sequence[Operator]) -> Values:
    """Amounts of work, shape ``(N, terms)``."""
    columns = {name: column for column, name in enumerate(_NAMES)}
    work = np.zeros((len(operators), len(columns)))
    for row, operator in enumerate(operators):
        for name, amount in work_terms(operator):
            work[row, columns[name]] = amount
    return work


def _fit(work: Values, times: Values) -> Values:
    return nonnegative_least_squares(work / times[:, None], np.ones(len(times)))


def _borrow(
    prior: OperatorModel | None, total: Values, own: Mapping[str, float]
) -> dict[str, float]:
    """Coefficients for the work that was not seen."""
    if prior is None:
        return {}
    amounts = dict(zip(_NAMES, total.tolist()))
    here = sum(own[name] * amounts[name] for name in own)
    there = sum(prior.coefficients.get(name, 0.0) * amounts[name] for name in own)
    ratio = here / there if there else 1.0
    return {n: c * ratio for n, c in prior.coefficients.items() if n not in own}


def _kinds(operators: Sequence[Operator]) -> dict[str, tuple[float, float]]:
    """Least and most of `size_of` per kind."""
    sizes: dict[str, list[float]] = {}
    for operator in operators:
        sizes.setdefault(kind_of(operator), []).append(size_of(operator))
    return {kind: (min(own), max(own)) for kind, own in sizes.items()}


# ------------------------------------------------------------------ error


def _error(operators: Sequence[Operator], work: Values, times: Values) -> ModelError:
    rng = np.random.default_rng(_SEED)

    def left_out(groups: npt.NDArray[np.int64]) -> Values:
        predicted = np.empty(len(times))
        for group in np.unique(groups):
            out = groups == group
            predicted[out] = work[out] @ _fit(work[~out], times[~out])
        return predicted

    rows = left_out(rng.permutation(len(times)) % _FOLDS)
    family = _groups(operators, lambda o: replace(o, height=1, width=1))
    blocks = left_out(rng.permutation(family.max() + 1)[family] % _BLOCKS)
    ranks = _size_ranks(operators, family)
    sizes = left_out(ranks) if ranks.any() else times  # all of one size: nothing to find out
    shapes = left_out(_groups(operators, lambda o: (o.op, o.in_channels, o.out_channels)))
    mapes = [mean_absolute_percentage_error(p, times) for p in (rows, blocks, sizes, shapes)]
    networks = _sums(operators, times, blocks, shapes)
    off = 100 * np.abs(networks[0] / networks[1:] - 1)  # of what is predicted, as intervals are
    some = networks.shape[1] > 0
    return ModelError(
        rows_mape=mapes[0],
        blocks_mape=mapes[1],
        sizes_mape=mapes[2],
        shapes_mape=mapes[3],
        networks=networks.shape[1],
        networks_mape=mean_absolute_percentage_error(networks[1], networks[0]) if some else 0.0,
        networks_p90=float(np.quantile(off[0], 0.9)) if some else 0.0,
        unseen_p90=float(np.quantile(off[1], 0.9)) if some else 0.0,
    )


def _groups(
    operators: Sequence[Operator], key: Callable[[Operator], Hashable]
) -> npt.NDArray[np.int64]:
    """A number for each different key, shape ``(N,)``."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(key(operator), len(known)) for operator in operators])


def _size_ranks(
    operators: Sequence[Operator], family: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """0 for an operator of the largest size of its family, 1 for the next, and so on."""
    heights = np.array([operator.height for operator in operators])
    ranks = np.empty(len(operators), dtype=np.int64)
    for number in np.unique(family):
        own = family == number
        sizes, place = np.unique(heights[own], return_inverse=True)
        ranks[own] = len(sizes) - 1 - place
    return ranks


def _sums(operators: Sequence[Operator], *times: Values) -> Values:
    """Sums of each of `times` over random networks of known operators only.

    Returns:
        Shape ``(len(times), networks)``.
    """
    place = {operator: index for index, operator in enumerate(operators)}
    for space in _covered(place):
        genes = sample(space, _NETWORKS, np.random.default_rng(_SEED))
        return np.stack(
            [
                OperatorSum(space, lambda o, own=own: own[place[o]] if o in place else 0.0)(genes)  # type: ignore[misc]  # mypy cannot infer such lambdas
                for own in times
            ]
        )
    return np.empty((len(times), 0))


def _covered(known: Mapping[Operator, int]) -> Iterator[Space]:
    """Shipped spaces of which everything but the pooling is known, at some sizes at least.

    Expand ratios that were not measured are left out of them.
    """

    def knows(operator: Operator | None) -> bool:
        return operator is None or operator in known or operator.op == "pool"

    for name in list_spaces():
        space = load_space(name)
        stem = layout_of(space).slots[0]
        sizes = [size for size in space.resolutions if all(map(knows, stem.operators(size)))]
        if not sizes:
            continue
        space = _narrowed(replace(space, resolutions=(sizes[0],)), knows)
        sizes = [
            s for s in sizes if all(map(knows, operators_of(replace(space, resolutions=(s,)))))
        ]
        if sizes:
            yield replace(space, resolutions=tuple(sizes))


def _narrowed(space: Space, knows: Callable[[Operator | None], bool]) -> Space:
    """`space` with the expand ratios whose blocks are all known; one at least is kept."""
    stages = list(space.stages)
    for index, stage in enumerate(space.stages):
        kept = []
        for ratio in stage.expand:
            stages[index] = replace(stage, expand=(ratio,))
            slots = layout_of(replace(space, stages=tuple(stages))).slots
            own = [slot for slot in slots if slot.place.stage == index + 1]
            if all(knows(operator) for slot in own for operator in slot.operators()):
                kept.append(ratio)
        stages[index] = replace(stage, expand=tuple(kept) or stage.expand)
    return replace(space, stages=tuple(stages))
