"""Cross-validation, and intervals that hold: their width is found on held-out pairs."""

from dataclasses import replace

import numpy as np

from supernet.errors import ConfigError
from supernet.predict._kinds import kind_of
from supernet.predict.contract import FEWEST_PAIRS, INTERVAL_90, AccuracyPairs, Validation, Values

__all__ = ["calibrated", "check_count", "cross_validate", "held_out"]

_LEAST_STD = 1e-9


def cross_validate(
    pairs: AccuracyPairs, kind: str = "gp", *, folds: int = 5, seed: int = 0
) -> Validation:
    """Predict every pair by a predictor that was fitted without it.

    Args:
        pairs: measured subnets; equal ones are averaged first, so that none is known.
        kind: of predictor.
        folds: number of fits.
        seed: of the folds and the fits.

    Raises:
        ConfigError: fewer than 8 pairs, fewer than 2 folds, or an unknown kind.
    """
    return calibrated(held_out(pairs, kind, folds=folds, seed=seed))[0]


def held_out(pairs: AccuracyPairs, kind: str, *, folds: int = 5, seed: int = 0) -> Validation:
    """As `cross_validate`, with the uncertainties as the models state them."""
    pairs = pairs.merged()
    check_count(pairs)
    if folds < 2:
        raise ConfigError(f"folds: cross-validation needs at least 2, found {folds}")
    fit = kind_of(kind).fit
    folds = min(folds, len(pairs))
    fold = np.random.default_rng(seed).permutation(len(pairs)) % folds
    predicted, std = np.empty(len(pairs)), np.empty(len(pairs))
    for number in range(folds):
        held = fold == number
        model = fit(pairs.take(~held), seed)
        genes = pairs.genes[held]
        predicted[held], std[held] = model.mean(genes), model.std(genes)
    return Validation(
        predicted=predicted, measured=pairs.top1, std=np.maximum(std, _LEAST_STD), folds=folds
    )


def calibrated(validation: Validation) -> tuple[Validation, float]:
    """With uncertainties whose 90 % intervals hold, and what they were multiplied by."""
    assert validation.std is not None
    scale = _calibration(validation.predicted - validation.measured, validation.std)
    return replace(validation, std=scale * validation.std), scale


def check_count(pairs: AccuracyPairs) -> None:
    """Refuse pairs that are too few to learn from.

    Raises:
        ConfigError: fewer than 8 different subnets.
    """
    if len(pairs) < FEWEST_PAIRS:
        raise ConfigError(
            f"a predictor needs at least {FEWEST_PAIRS} accuracy pairs, found {len(pairs)}",
            hint="measure more subnets",
        )


def _calibration(errors: Values, std: Values) -> float:
    """What `std` has to be multiplied by for 90 % intervals that hold the held-out `errors`.

    The mean of two estimates: the 90 % quantile of the standardised errors, which outliers
    do not move, and their root mean square, which few pairs tell better.
    """
    share = np.abs(errors) / np.maximum(std, _LEAST_STD)
    quantile = float(np.quantile(share, 0.9)) / INTERVAL_90
    spread = float(np.sqrt(np.square(share).mean()))
    return max(0.5 * (quantile + min(spread, 2 * quantile)), _LEAST_STD)
