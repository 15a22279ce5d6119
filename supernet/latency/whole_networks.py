"""A table from whole networks only, where no operator was measured by itself.

The latency of a network is taken as a sum over its operators of what their work and their
choices cost (`supernet.latency.choices`). The fit minimises the mean absolute relative error, since
measured times have slow outliers, with penalties that grow with how special a term is;
how strong they are is found by cross-validation.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.latency.choices import choice_terms
from supernet.latency.held_out import HeldOut
from supernet.latency.model import OperatorModel
from supernet.latency.solve import least_absolute
from supernet.latency.table import LatencyTable
from supernet.progress import Progress, silent
from supernet.space import Genes, Space, operator_indices, operators_of

__all__ = ["FEWEST_NETWORKS", "check_measured", "fit_networks"]

Values = npt.NDArray[np.float64]

FEWEST_NETWORKS = 60
_SEED = 20200426
_FOLDS = 4
_MAIN = 1e-4, 1e-2, 0.1, 1.0  # penalties of single choices to choose from
_SPECIAL = 1.0, 30.0, 1000.0  # times that, for terms of the orders 2 and 3
_ORDERS = 0.01, 1.0, 3.0, 30.0  # times that, for each order of a term


@dataclass(frozen=True, slots=True)
class _Penalty:
    """How strongly coefficients are drawn to 0."""

    main: float
    special: float

    def of(self, orders: npt.NDArray[np.int64]) -> Values:
        """Per column, from the order of its term."""
        scale = np.where(orders > 1, self.special, 1.0)
        penalties: Values = self.main * scale * np.array(_ORDERS)[orders]
        return penalties


def fit_networks(
    space: Space,
    genes: Genes,
    measured_ms: Values,
    *,
    target: str,
    device: Mapping[str, str],
    batch: int = 1,
    hold_out: float = 0.2,
    progress: Progress = silent,
) -> LatencyTable:
    """Fit a table to networks of one space; a part of them tells its error.

    The networks that were held out are used for the final fit as well, so its error is
    rather smaller than the one that is stated.

    Args:
        space: of the networks.
        genes: shape ``(N, G)``.
        measured_ms: their latencies, shape ``(N,)``.
        target: name of the table.
        device: what is known of it; ``source`` says where the figures come from.
        batch: images at a time.
        hold_out: share of the networks to find the error with.
        progress: told about every fit.

    Raises:
        ConfigError: fewer than 60 networks, not a latency for each, one that is none, or no
            such share.
    """
    _check(genes, measured_ms, hold_out)
    order = np.random.default_rng(_SEED).permutation(len(genes))
    held = order[: max(1, round(hold_out * len(genes)))]
    rest = order[len(held) :]
    orders, design = _design(space, genes)
    fit = _Fit(np.array(list(orders.values())))
    penalty = fit.choose(design[rest], measured_ms[rest], progress)
    predicted = design[held] @ fit.coefficients(design[rest], measured_ms[rest], penalty)
    found = fit.coefficients(design, measured_ms, penalty)
    return LatencyTable(
        target=target,
        device=device,
        batch=batch,
        protocol={"statistic": "whole networks, as given"},
        rows={},
        held_out=HeldOut(
            predicted_ms=tuple(np.maximum(predicted, 1e-6).tolist()),
            measured_ms=tuple(measured_ms[held].tolist()),
            space=space.name,
            space_hash=space.hash,
        ),
        model=OperatorModel(
            terms="choices",
            coefficients={name: float(value) for name, value in zip(orders, found)},
            source=f"{len(genes)} networks of {device.get('source', 'a source not said')}",
            networks=len(genes),
        ),
    )


def check_measured(genes: Genes, measured_ms: Values) -> None:
    """Refuse what are no latencies of networks.

    Args:
        genes: of the networks, ``(N, G)``.
        measured_ms: their latencies, ``(N,)``.

    Raises:
        ConfigError: not one for each network, or one that is none.
    """
    if np.shape(measured_ms) != (len(genes),):
        raise ConfigError(
            f"measured_ms: must be one latency for each of {len(genes)} networks, found the shape "
            f"{np.shape(measured_ms)}"
        )
    if not ((measured_ms > 0) & (measured_ms < 1e7)).all():
        raise ConfigError("latencies must be above 0 and below 1e7 ms")


def _check(genes: Genes, measured_ms: Values, hold_out: float) -> None:
    check_measured(genes, measured_ms)
    if len(measured_ms) < FEWEST_NETWORKS:
        raise ConfigError(
            f"a table from whole networks needs at least {FEWEST_NETWORKS}, "
            f"found {len(measured_ms)}",
            hint="with about ten, start from shipped tables: supernet latency fit --from shipped",
        )
    if not 0 < hold_out < 1:
        raise ConfigError(f"hold_out: must be above 0 and below 1, found {hold_out}")


def _design(space: Space, genes: Genes) -> tuple[dict[str, int], Values]:
    """Orders of the terms that any of the networks has, and their amounts, shape ``(N, T)``."""
    indices = operator_indices(space, genes)
    used = np.unique(indices[indices >= 0])
    operators = operators_of(space)
    entries = [list(choice_terms(operators[index])) for index in used.tolist()]
    orders = {term.name: term.order for own in entries for term in own}
    columns = {name: column for column, name in enumerate(orders)}
    terms = np.zeros((len(used) + 1, len(columns)))  # the last row is that of no operator
    for row, own in enumerate(entries):
        for term in own:
            terms[row, columns[term.name]] += term.amount
    place = np.full(len(operators) + 1, len(used))
    place[used] = np.arange(len(used))
    design = np.zeros((len(genes), len(columns)))
    for slot in range(indices.shape[1]):
        design += terms[place[indices[:, slot]]]
    return orders, design


class _Fit:
    """Fits with different penalties.

    Args:
        orders: of the terms, shape ``(T,)``.
    """

    def __init__(self, orders: npt.NDArray[np.int64]) -> None:
        self._orders = orders

    def choose(self, design: Values, ms: Values, progress: Progress) -> _Penalty:
        """The penalty of the least error in cross-validation."""
        folds = np.random.default_rng(_SEED).permutation(len(ms)) % _FOLDS
        choices = [_Penalty(*pair) for pair in itertools.product(_MAIN, _SPECIAL)]
        errors = np.zeros(len(choices))
        for number, (choice, fold) in enumerate(
            itertools.product(range(len(choices)), range(_FOLDS))
        ):
            out = folds == fold
            found = self.coefficients(design[~out], ms[~out], choices[choice])
            errors[choice] += np.abs(design[out] @ found / ms[out] - 1).sum()
            progress(number + 1, len(choices) * _FOLDS, "fitting to whole networks")
        return choices[int(errors.argmin())]

    def coefficients(self, design: Values, ms: Values, penalty: _Penalty) -> Values:
        """Milliseconds per unit of each term, shape ``(T,)``.

        What all networks have alike cannot be told apart: it is shared out equally over
        the choices that all have.
        """
        mean, deviation = design.mean(axis=0), design.std(axis=0)
        alike = deviation <= 1e-9 * np.abs(mean)
        deviation = np.where(alike, np.inf, deviation)
        scaled = np.hstack([np.ones((len(ms), 1)), (design - mean) / deviation])
        unit = float(np.median(ms))
        penalties = np.concatenate([[0.0], penalty.of(self._orders)])
        found = unit * least_absolute(scaled * (unit / ms)[:, None], np.ones(len(ms)), penalties)
        own = found[1:] / deviation
        rest = float(found[0] - own @ mean)
        constant = alike & (self._orders == 1) & (mean > 0)
        own[constant] += rest / mean[constant].sum()
        return own
